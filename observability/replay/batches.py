"""What versions would have learned from by other verdicts, another filter or another limit of
staleness: the batch of each as it was gathered, admitted and filtered once more. Pure; knows no
log and no judge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bus.events import CURRENT, Judgment, Verdict
from bus.records import Position
from observability.replay.differences import Batches, Learned
from trainer.batch import STALE, Batch
from trainer.checkpoint.manifest import Dropped, Manifest
from trainer.filters.everything import All
from trainer.filters.filter import Filter, chosen_for
from trainer.phases import Phases


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebatching:
    """`was` is the filter of the run, `now` the other one; attempts up to `max_staleness` are
    admitted. Batches stay those that the run has gathered: of the attempts that a larger limit
    would have let in each counts for the version that has dropped it."""

    was: Filter
    now: Filter
    max_staleness: int
    phases: Phases
    seed: int

    def version(
        self,
        manifest: Manifest,
        read: Mapping[Position, Judgment],
        again: Mapping[str, tuple[Verdict, ...]],
        counts: Batches,
    ) -> Learned:
        """What it learned from, and what it would have; `again` are the other verdicts by the id of
        the judgment, without those that would not have been made."""
        trained = [read[one.position] for one in manifest.trained if one.position in read]
        late = [one for one in manifest.dropped if _is_stale(one) and one.position in read]
        stale = [read[one.position] for one in late]
        fresh = [one for one in (*trained, *stale) if self._is_fresh(one, manifest.version - 1)]
        admitted = [
            one.model_copy(update={"verdicts": again[one.id]}) for one in fresh if one.id in again
        ]
        learned = Learned(
            version=manifest.version,
            was=self._chosen(self.was, trained, manifest),
            now=self._chosen(self.now, admitted, manifest),
        )
        counts.judgments += len(trained) + len(stale)
        counts.stale += len(stale)
        counts.would_be_stale += len(trained) + len(stale) - len(fresh)
        counts.filtered += len(trained) - len(learned.was)
        counts.would_filter += len(admitted) - len(learned.now)
        counts.learned += len(learned.was)
        counts.would_learn += len(learned.now)
        counts.gained += len(learned.gained)
        counts.lost += len(learned.lost)
        return learned

    def _is_fresh(self, judgment: Judgment, parent: int) -> bool:
        oldest = judgment.attempt.oldest_version
        return oldest is None or self.phases.age(oldest, parent) <= self.max_staleness

    def _chosen(
        self, filter: Filter, judgments: Sequence[Judgment], manifest: Manifest
    ) -> Sequence[Judgment]:
        """Of those what the policy that the version moved has said."""
        policy = manifest.weights.policy
        batch = Batch(judgments=tuple(judgments), trained=(), dropped=(), num_tasks=0)
        said = self.phases.learned(batch, policy).judgments
        filter = filter if policy == CURRENT else All()
        return chosen_for(manifest.version, filter, said, self.seed)


def _is_stale(dropped: Dropped) -> bool:
    return dropped.topic == Judgment.topic and dropped.reason.startswith(STALE)
