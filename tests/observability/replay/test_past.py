"""A log as it was at a position is what it was then, and so is how far every group had come."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from bus.bus import Subscription
from bus.errors import BusError
from bus.events import Control, Event, Weights, derive_id
from bus.log import Cut
from bus.memory.bus import MemoryBus
from bus.records import Positioned, Record
from bus.sqlite.bus import SqliteBus
from observability.replay.past import SLICE, PastLog
from observability.replay.whole import check_whole
from tests.observability.audit.audited_run import RUN, Life, make
from tests.observability.story import Story


def remembered(subscription: Subscription, bus: SqliteBus, cuts: list[Cut]) -> None:
    """Has every commit leave behind what the log said right after it."""
    complete = subscription.complete

    async def completed(done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
        await complete(done, outputs)
        cuts.append(bus.cut())

    setattr(subscription, "complete", completed)  # noqa: B010 - a method cannot be assigned


@pytest.fixture(scope="module")
def cuts_and_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Cut], Path]:
    """A run with poisoned rounds, whose trainer was taken over; every commit of it."""
    cuts: list[Cut] = []

    async def script(life: Life) -> None:
        for subscription in (life.solver, life.critic, life.proposer, life.trainer):
            assert subscription is not None
            remembered(subscription, life.bus, cuts)
        await life.live(4)
        await life.propose()

    return cuts, make(tmp_path_factory.mktemp("runs") / "run", script)


@pytest.mark.parametrize("records", [7, SLICE])
def test_every_group_is_as_far_as_it_was_then(
    cuts_and_run: tuple[list[Cut], Path], records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observability.replay.past.SLICE", records)
    cuts, run = cuts_and_run
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    assert len(cuts) > 50
    for cut in cuts:
        past = PastLog(bus, cut.heads)
        assert past.heads() == cut.heads
        check_whole(bus, dict(cut.heads))
        for group, held in cut.groups.items():
            then = {stream: one.cursor for stream, one in held.items()}
            assert past.cursors(group) == then, (group, dict(cut.heads))
            assert sum(lag.backlog for lag in past.lag(group)) == sum(
                cut.heads[stream] - cursor.base - cursor.num_done for stream, cursor in then.items()
            )
    asyncio.run(bus.close())


def test_it_has_the_records_of_then_and_those_that_are_to_follow() -> None:
    bus, events = MemoryBus(), Story(versions=6).events()
    asyncio.run(bus.publish(events))
    ends = {stream: end // 2 for stream, end in bus.heads().items()}
    control = ends["control", 0]
    start = Control(id=derive_id(RUN, "x", "y"), run=RUN, agent="x", command="start")
    then = Record(
        topic="control",
        partition=0,
        offset=control,
        key="all",
        headers={"ce_id": start.id},
        value=b"",
    )
    past = PastLog(bus, ends, [then])
    for stream, end in ends.items():
        assert [*past.read(*stream)][:end] == [*bus.read(*stream, 0, end)]
        assert [*past.read(*stream, 1, 3)] == [*bus.read(*stream, 1, 3)][: max(0, end - 1)]
        numbers = past.commits(*stream, 0, past.heads()[stream])
        assert len(numbers) == past.heads()[stream] and sorted(numbers) == [*numbers]
    assert [*past.read("control")][-1] == then == past.find(start.id)
    for event in events[::7]:
        found, there = past.find(event.id), bus.find(event.id)
        assert there is not None
        is_before = there.offset < ends[there.topic, there.partition]
        assert found == (there if is_before else None)
    with pytest.raises(BusError, match="no partition"):
        next(past.read("riddles"))


def test_of_what_came_later_few_ids_are_kept_and_few_causes_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    num_found = 0

    class Counted(MemoryBus):
        def find(self, event_id: str) -> Record | None:
            nonlocal num_found
            num_found += 1
            return super().find(event_id)

    bus = Counted()
    asyncio.run(bus.publish(Story(versions=60).events()))
    ends = {stream: end // 10 for stream, end in bus.heads().items()}
    num_later = sum(bus.heads().values()) - sum(ends.values())
    monkeypatch.setattr("observability.replay.past.SLICE", num_later // 8)
    assert PastLog(bus, ends).groups() == []
    assert num_found < num_later / 10


def test_what_a_guard_says_of_a_version_is_its_answer() -> None:
    """It is silent on version 0, and stops the trainer at version 1."""
    bus, positions = MemoryBus(), []
    versions = [event for event in Story(versions=2).events() if isinstance(event, Weights)]
    word = Control(
        id=derive_id(RUN, "guard", versions[1].id),
        run=RUN,
        agent="guard",
        command="stop",
        weights_version=1,
    )

    async def live() -> None:
        async with bus.subscribe(["weights"], "guard", "guard-1") as guard:
            for version in versions[:2]:
                await bus.publish([version])
                positions.append(bus.heads())
                said = [word] if version.number else []
                await guard.complete(await guard.take(1), said)
                positions.append(bus.heads())
            await bus.publish([versions[2]])
            await guard.complete(await guard.take(1), [])

    asyncio.run(live())
    done = [PastLog(bus, ends).cursors("guard")["weights", 0].base for ends in positions]
    # Nobody can tell by the log when silence was kept: the last version is looked at again.
    assert done == [0, 0, 1, 2]
