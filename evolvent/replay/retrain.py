"""`evolvent replay retrain`: versions made again from the judgments that the log says they were
learned from, by the same settings or others, beside what the run had. Changes nothing in the run.
Loads torch.

    version FROM, or a new one -> the batch of the next version -> learned -> its checkpoint
                                        ^                                        |
                                        +---------- until --until ---------------+
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from agents.engines.engine import EngineUnusable, SwapRefused
from agents.evaluator import AGENT as EVALUATOR
from agents.evaluator import Evaluator
from agents.policies.policy import Policies
from bus.bus import Bus
from bus.config import SqliteConfig
from bus.events import Evaluation, Weights, derive_id
from bus.log import Log
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.replay.beginning import (
    Beginning,
    State,
    anew,
    author_of,
    check_fits,
    from_version,
)
from evolvent.replay.compared import Compared, curve_row
from evolvent.replay.judges import judges_again, policy_at_the_end
from evolvent.replay.versions import JUDGED, Range, after, path_of
from evolvent.run.folder import RunFolder, new_run_id
from evolvent.run.log import started
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from observability.audit.scan import Show
from observability.export.folder import aside
from observability.lineage.course import evaluations
from observability.replay.again import Again
from observability.replay.recorded import events_at
from trainer.batch import Batch
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.checkpoint.manifest import Manifest, read_manifest
from trainer.checkpoint.spans import learned, stepping
from trainer.needs import Needs
from trainer.phases import Phases
from trainer.reference import References

FOUND = "retrained.json"
"""What was found, in the folder of the versions."""

_DOING = "versions trained again"


async def retrain(
    folder: RunFolder, wanted: Recipe, versions: Range, out: Path | None, show: Show
) -> dict[str, Any]:
    """What became of it, as JSON has it; with `out` the versions stay in a new folder there. Raises
    `UsageError`, `BusError`, `DamagedCheckpoint`."""
    begun = monotonic()
    torch.set_num_threads(1)
    disable_progress_bar()
    show(_DOING, 0, versions.until - versions.first)
    was = folder.recipe()
    recipe = wanted.model_copy(update={"bus": SqliteConfig()})
    async with folder.log() as bus:
        path = await asyncio.to_thread(path_of, bus.log, versions)
        with _folder(out) as made:
            new = RunFolder(made)
            async with new.log(recipe.bus, writable=True) as kept:
                new.create(recipe, new_run_id(out or made, recipe))
                await kept.publish([started(new, recipe, 0)])
                judging = _Judging(folder, was, wanted, bus)
                place = Workplace(new.path, new.run_id, recipe, kept, LogVoice())
                try:
                    again = await asyncio.to_thread(judging.asked)
                    replay = _Replay(folder, bus.log, place, again, versions, show)
                    found = await replay.run(path) | {"seconds": monotonic() - begun}
                    text = json.dumps(found, indent=1)
                    (made / FOUND).write_text(text, encoding="utf-8")
                except (EngineUnusable, SwapRefused) as error:
                    raise UsageError(str(error)) from None
                finally:
                    await asyncio.shield(judging.close())
                    await asyncio.shield(place.close())
    return found


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is None:
        with TemporaryDirectory(prefix="evolvent-retrain-") as made:
            yield Path(made)
    else:
        with aside(out) as kept:
            yield kept


class _Judging:
    """The judges of a recipe, where they are not those of the run."""

    def __init__(self, folder: RunFolder, was: Recipe, wanted: Recipe, bus: Bus) -> None:
        self._was = was
        self._is_other = any(getattr(was, one) != getattr(wanted, one) for one in JUDGED)
        self._place = Workplace(folder.path, folder.run_id, wanted, bus, LogVoice())
        self._policies = Policies(partial(policy_at_the_end, self._place))

    def asked(self) -> Again | None:
        """Reads the log. Raises `UsageError`."""
        if not self._is_other:
            return None
        return judges_again(self._was, self._place, self._policies)

    async def close(self) -> None:
        await self._policies.close()
        await self._place.close()


class _Replay:
    """One pass over versions."""

    def __init__(
        self,
        folder: RunFolder,
        log: Log,
        place: Workplace,
        again: Again | None,
        versions: Range,
        show: Show,
    ) -> None:
        recipe = place.recipe
        self._folder, self._log, self._place = folder, log, place
        self._again, self._versions, self._show = again, versions, show
        self._checkpoints = Checkpoints(
            place.path,
            recipe.checkpoints,
            keep_states=recipe.run.keep_states,
            evaluated_every=recipe.evaluator.every,
        )
        self._author = author_of(place, recipe, self._checkpoints)
        self._phases = Phases(recipe.phases, recipe.chains)
        self._references = References(place.bus.log, self._checkpoints)
        self._needs = Needs(place.bus.log, (), (0,), self._phases.policies)
        self._evaluator = Evaluator(place.parts, recipe.evaluator, recipe.solver.stop)
        self._compared = Compared(folder.path)
        self._curve: list[dict[str, Any]] = []
        self._epoch = 1

    async def run(self, path: Sequence[Weights]) -> dict[str, Any]:
        measured = await asyncio.to_thread(_measured, self._log)
        first = self._versions.first
        chain = [one for one in path if one.number <= first]
        self._epoch = 1 if self._versions.anew else chain[-1].epoch + 1
        beginning = await self._compute(self._begin, chain)
        await self._place.bus.publish(list(beginning.chain))
        states, head = beginning.states, beginning.head
        await self._measure(head, measured.get(chain[-1].id), same=not self._versions.anew)
        for weights in after(path, first):
            made = read_manifest(self._folder.path / weights.location)
            batch = await self._batch(made)
            head = await self._compute(self._learn, states, head, made, batch)
            await self._place.bus.publish([head.weights])
            same = False
            if not self._versions.anew:
                learner = states[head.weights.policy].learner
                same = await self._compute(self._compared.add, made, head, learner)
            await self._measure(head, measured.get(weights.id), same=same)
            await self._compute(lambda: self._checkpoints.prune(self._needs.now()))
            self._show(_DOING, head.version - first, self._versions.until - first)
        return {
            "run": self._folder.run_id,
            "from": "new" if self._versions.anew else first,
            "until": self._versions.until,
            "resumed": beginning.resumed,
            **self._compared.as_json(),
            "curve": self._curve,
        }

    def _begin(self, chain: Sequence[Weights]) -> Beginning:
        if self._versions.anew:
            return anew(self._folder.path, self._place, self._author, self._epoch, self._show)
        return from_version(
            self._folder,
            self._log,
            chain,
            self._place,
            self._checkpoints,
            self._phases.policies,
        )

    async def _batch(self, made: Manifest) -> Batch:
        """What a version was learned from, judged by the judges of the recipe."""
        batch = await asyncio.to_thread(self._read, made)
        if self._again is None:
            return batch
        said = await self._again.judge(batch.judgments)
        judgments = tuple(
            one.model_copy(update={"verdicts": verdicts})
            for one, verdicts in zip(batch.judgments, said, strict=True)
            if not isinstance(verdicts, str)
        )
        return replace(batch, judgments=judgments)

    def _read(self, made: Manifest) -> Batch:
        try:
            return Batch.recorded(made, events_at(self._log, made.consumed))
        except KeyError as missing:
            [at] = missing.args
            raise UsageError(
                f"version {made.version} was learned from {at.topic}/{at.partition}/{at.offset}, "
                "which cannot be read: train again up to the version before"
            ) from None

    def _learn(
        self, states: dict[str, State], head: Manifest, made: Manifest, batch: Batch
    ) -> Manifest:
        """The next version, durable; nothing on its own log is consumed by it."""
        policy = made.weights.policy
        state = states[policy]
        if self._versions.anew:
            check_fits(state.learner, batch.judgments)
        said = self._phases.learned(batch, policy)
        version, parent = head.version + 1, state.manifest
        with stepping(head.version, policy, said.judgments) as step:
            metrics = self._references.learn(state.learner, said, version, parent.weights)
            learned(step, len(said.judgments), 0, metrics)
        shared = self._checkpoints.root / parent.folder_name
        state.manifest = self._author.write(
            state.learner, head, Batch.empty(), metrics, shared, epoch=self._epoch, policy=policy
        )
        return state.manifest

    async def _measure(self, head: Manifest, was: Evaluation | None, *, same: bool) -> None:
        """Where the run was measured: the same weights have the same scores."""
        if was is None:
            return
        weights = head.weights
        if same:
            named = {"id": derive_id(weights.run, EVALUATOR, weights.id), "run": weights.run}
            now = was.model_copy(update={**named, "weights": weights.id})
        else:
            try:
                now = await self._evaluator.evaluate(weights)
            except ValueError as error:
                raise UsageError(str(error)) from None
        await self._place.bus.publish([now])
        self._curve.append(curve_row(was, now))

    async def _compute(self, work: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._place.executor, partial(work, *arguments))


def _measured(log: Log) -> Mapping[str, Evaluation]:
    """By the version that was measured."""
    return {one.weights: one for one in evaluations(log)}
