"""`evolvent replay rejudge`: the attempts on a log through another judge, filter or rule of
staleness, against what was said and learned. Changes nothing in the run.

    versions, oldest first -> what each consumed -> judged again -> admitted, filtered, weighed
    what no version consumed                     -> judged again
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

from agents.engines.engine import EngineUnusable
from agents.policies.policy import Policies
from bus.cursor import Cursor
from bus.errors import Unreadable
from bus.events import Judgment, Promotion, Verdict
from bus.records import Position
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.replay.judges import judges_again, policy_at_the_end
from evolvent.replay.otherwise import Settings, otherwise
from evolvent.run.folder import RunFolder
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from observability.audit.scan import Show
from observability.export.folder import aside
from observability.lineage.chain import Chain
from observability.replay.again import Again
from observability.replay.batches import Rebatching
from observability.replay.differences import Differences
from observability.replay.gains import Gains
from observability.replay.recorded import events_at
from observability.replay.rejudged import Written
from trainer.checkpoint.manifest import Manifest, read_manifest
from trainer.phases import Phases

MAY_CHANGE = {
    "judge": frozenset[str](),
    "judges": frozenset[str](),
    "critic": frozenset[str](),
    "filter": frozenset[str](),
    "loss": frozenset[str](),
    "trainer": frozenset({"max_staleness"}),
}
"""What of a recipe can be replayed without another attempt: of some sections only these fields."""

_AT_ONCE = 64
_DOING = "attempts judged again"


def rejudged_by(folder: RunFolder, judge: str | None, settings: Settings) -> Recipe:
    """The recipe of a run with another judge, filter or rule. Raises `UsageError`."""
    named = [] if judge is None else [f"judge.type={judge}"]
    wanted = Settings(recipe=settings.recipe, overrides=[*named, *settings.overrides])
    return otherwise(folder.recipe(), wanted, MAY_CHANGE, "rejudge")


async def rejudge(
    folder: RunFolder, wanted: Recipe, out: Path | None, show: Show
) -> dict[str, Any]:
    """What would differ, as JSON has it; with `out` every verdict and every version that would have
    learned otherwise in files there. Raises `UsageError`, `BusError`, `DamagedCheckpoint`."""
    started = monotonic()
    show(_DOING, 0, 0)
    async with folder.log() as bus:
        was = folder.recipe()
        place = Workplace(folder.path, folder.run_id, wanted, bus, LogVoice())
        policies = Policies(partial(policy_at_the_end, place))
        try:
            again = await asyncio.to_thread(judges_again, was, place, policies)
            with nullcontext() if out is None else aside(out) as made:
                written = None
                if made is not None and out is not None:
                    written = Written(made, out.name, again.name)
                replay = _Replay(was, place, again, written, show)
                found = await replay.run()
                found |= _times(monotonic() - started, replay.judge_seconds, found)
                if written is not None:
                    written.close(found)
        except EngineUnusable as error:
            raise UsageError(str(error)) from None
        finally:
            await asyncio.shield(policies.close())
            await asyncio.shield(place.close())
    return found


def _times(whole: float, judging: float, found: Mapping[str, Any]) -> dict[str, Any]:
    """`overhead_seconds` is what an attempt takes beside the judge."""
    count = found["verdicts"]["judgments"] or 1
    return {
        "seconds": whole,
        "judge_seconds": judging,
        "overhead_seconds": (whole - judging) / count,
    }


class _Replay:
    """One pass over a log."""

    def __init__(
        self, was: Recipe, place: Workplace, again: Again, written: Written | None, show: Show
    ) -> None:
        self._path, self._log, self._run = place.path, place.bus.log, place.parts.run
        self._again, self._written, self._show = again, written, show
        self._rebatching = Rebatching(
            was=was.filter.build(place.parts),
            now=place.recipe.filter.build(place.parts),
            max_staleness=place.recipe.trainer.max_staleness,
            phases=Phases(was.phases, was.chains),
            seed=was.seed,
        )
        loss: Any = place.recipe.loss
        self._found = Differences(
            gains=Gains(
                baseline=getattr(loss, "baseline", "group"),
                decay=getattr(loss, "baseline_decay", 0.0),
            )
        )
        self._consumed: dict[int, Cursor] = {}
        self._whole = 0
        self.judge_seconds = 0.0

    async def run(self) -> dict[str, Any]:
        path, ends = await asyncio.to_thread(self._look)
        for location in path:
            manifest, read = await asyncio.to_thread(self._batch, location)
            again = await self._judged(read.values())
            self._compare(manifest, read, again)
        rest = self._rest(ends)
        while page := await asyncio.to_thread(lambda: list(islice(rest, _AT_ONCE))):
            await self._judged(page)
        await asyncio.to_thread(self._promoted)
        return {"run": self._run, "judge": self._again.name} | self._found.as_json()

    def _look(self) -> tuple[list[str], dict[int, int]]:
        """Where the versions lie, oldest first, and where the judgments end."""
        heads = self._log.heads().items()
        ends = {part: end for (topic, part), end in heads if topic == Judgment.topic}
        self._whole = sum(ends.values())
        chain = Chain(self._log)
        newest = max(chain, key=lambda link: link.number, default=None)
        path = [] if newest is None else chain.path(newest)
        return [link.location for link in reversed(path)], ends

    def _batch(self, location: str) -> tuple[Manifest, dict[Position, Judgment]]:
        manifest = read_manifest(self._path / location)
        places = {one.position for one in manifest.consumed if one.topic == Judgment.topic}
        for place in places:
            cursor = self._consumed.get(place.partition, Cursor())
            self._consumed[place.partition] = cursor.advance([place.offset])
        events = events_at(self._log, places)
        read = {at: event for at, event in events.items() if isinstance(event, Judgment)}
        self._found.unreadable += len(places) - len(read)
        return manifest, read

    async def _judged(self, judgments: Collection[Judgment]) -> dict[str, tuple[Verdict, ...]]:
        """The other verdicts by the id of the judgment, without those that would not be made."""
        started = monotonic()
        found = await self._again.judge(list(judgments))
        self.judge_seconds += monotonic() - started
        pairs = list(zip(judgments, found, strict=True))
        await asyncio.to_thread(self._note, pairs)
        self._show(_DOING, self._found.verdicts.judgments, self._whole)
        return {judgment.id: said for judgment, said in pairs if not isinstance(said, str)}

    def _note(self, pairs: Sequence[tuple[Judgment, tuple[Verdict, ...] | str]]) -> None:
        for judgment, again in pairs:
            self._found.judged(judgment, again)
            if self._written is not None:
                self._written.judged(judgment, again)

    def _compare(
        self,
        manifest: Manifest,
        read: Mapping[Position, Judgment],
        again: Mapping[str, tuple[Verdict, ...]],
    ) -> None:
        learned = self._rebatching.version(manifest, read, again, self._found.batches)
        self._found.gains.add(learned.was, learned.now)
        row = self._found.versions.add(learned)
        if row is not None and self._written is not None:
            self._written.version(row)

    def _rest(self, ends: Mapping[int, int]) -> Iterator[Judgment]:
        """What no version has consumed."""
        for partition, end in sorted(ends.items()):
            cursor = self._consumed.get(partition, Cursor())
            for record in self._log.read(Judgment.topic, partition, cursor.base, end):
                if cursor.is_done(record.offset):
                    continue
                try:
                    event = record.event()
                except Unreadable:
                    self._found.unreadable += 1
                    continue
                if isinstance(event, Judgment):
                    yield event

    def _promoted(self) -> None:
        for record in self._log.read(Promotion.topic):
            try:
                event = record.event()
            except Unreadable:
                continue
            if isinstance(event, Promotion):
                self._found.promotions.add(event, self._found.versions.first)
