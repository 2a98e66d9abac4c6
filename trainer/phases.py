"""Which policy a version moves, where a run trains several: phases that follow each other again and
again, and what of a batch each policy learns from. Knows no model.

    phases = challenger 5, current 15
    version   1 2 3 4 5   6 7 ... 20   21 22 ...      a version moves one policy: its number alone
    moves     challenger  current      challenger     says which, so that no restart changes it
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from bus.events import CURRENT, Judgment, Refusal, Sample, Turn
from trainer.batch import Batch


class PhaseConfig(BaseModel):
    """`versions` versions in a row move the policy `policy`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    policy: str = Field(min_length=1)
    versions: int = Field(gt=0)


class Phases:
    """The phases of a run, none where all versions move one policy. `chains` says for a policy's
    name whose weights it has, where that is not the one that solves."""

    def __init__(
        self, phases: Sequence[PhaseConfig] = (), chains: Mapping[str, str] | None = None
    ) -> None:
        self._round = [phase.policy for phase in phases for _ in range(phase.versions)] or [CURRENT]
        self._chains = chains or {}
        self.policies = tuple(dict.fromkeys((CURRENT, *self._round)))

    def policy(self, version: int) -> str:
        """Which policy a version moves; version 0 begins them all."""
        return self._round[(version - 1) % len(self._round)] if version > 0 else CURRENT

    def age(self, drawn: int, newest: int) -> int:
        """How many versions behind `newest` the answers are that version `drawn` gave: those count
        that moved the policy that answers."""
        return self._num_moves(newest) - self._num_moves(drawn)

    def since(self, newest: int, moves: int) -> int:
        """So many versions up to `newest`, that itself among them, hold so many `moves` of the
        policy that answers, or all there are."""
        count = 0
        while count <= newest and self.age(newest - count, newest) < moves:
            count += 1
        return count

    def learned(self, batch: Batch, policy: str) -> Batch:
        """The batch with what `policy` said of it alone: what others said is not learned from."""
        if len(self.policies) == 1:
            return batch
        return replace(
            batch,
            judgments=tuple(self._judged(judgment, policy) for judgment in batch.judgments),
            refused=tuple(one for one in batch.refused if self._said(one, policy)),
        )

    def _num_moves(self, version: int) -> int:
        rounds, rest = divmod(version, len(self._round))
        return rounds * self._round.count(CURRENT) + self._round[:rest].count(CURRENT)

    def _is_of(self, turn: Turn, policy: str) -> bool:
        return self._chains.get(turn.policy, CURRENT) == policy

    def _said(self, refusal: Refusal, policy: str) -> bool:
        return self._is_of(refusal.proposal.turn, policy)

    def _judged(self, judgment: Judgment, policy: str) -> Judgment:
        attempt = judgment.attempt
        task, proposal = attempt.task, attempt.task.proposal
        if proposal is not None and not self._is_of(proposal.turn, policy):
            task = task.model_copy(update={"proposal": None})
        samples = tuple(self._sample(sample, policy) for sample in attempt.samples)
        attempt = attempt.model_copy(update={"task": task, "samples": samples})
        return judgment.model_copy(update={"attempt": attempt})

    def _sample(self, sample: Sample, policy: str) -> Sample:
        turns = tuple(
            turn if self._is_of(turn, policy) else turn.model_copy(update={"trainable": False})
            for turn in sample.turns
        )
        return sample.model_copy(update={"turns": turns})
