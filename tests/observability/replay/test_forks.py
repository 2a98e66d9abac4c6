"""Which records of a log are a parent's, through every fork that it went through."""

import asyncio
from pathlib import Path

from bus.bus import Bus
from bus.events import Control, Parent, Watermark, derive_id
from bus.memory.bus import MemoryBus
from observability.archive.watermark import newest_watermark
from observability.audit.audit import audit
from observability.replay.forks import forks, run_of, run_on, said_of
from observability.replay.position import named


def mark(run: str, number: int) -> Watermark:
    ends, event_id = {"weights/0": number}, derive_id(run, "archivist", str(number))
    return Watermark(
        id=event_id, run=run, agent="archivist", location="archive", ends=ends, digest=f"{number}"
    )


def start(run: str, bus: Bus, parent: str | None = None, version: int | None = None) -> Control:
    heads = bus.log.heads()
    of = (
        None
        if parent is None
        else Parent(run=parent, place="here", version=version, ends=named(heads))
    )
    event_id = derive_id(run, "evolvent", "start")
    return Control(id=event_id, run=run, agent="evolvent", command="start", parent=of)


def log_of_forks() -> MemoryBus:
    """The root, a fork of it, and one of that; each says two marks."""
    bus = MemoryBus()

    async def live() -> None:
        for run, parent, version in (
            ("root", None, None),
            ("one", "root", None),
            ("two", "one", 4),
        ):
            await bus.publish([start(run, bus, parent, version)])
            await bus.publish([mark(run, 1), mark(run, 2)])

    asyncio.run(live())
    return bus


def test_every_record_is_of_the_run_that_said_it() -> None:
    bus = log_of_forks()
    known = forks(bus)
    assert [fork.run for fork in known] == ["one", "two"] and run_on(bus) == "two"
    assert [fork.first_version for fork in known] == [0, 5]
    assert said_of(known) == "forked from one at version 4"
    assert said_of(known[:1]) == "forked from root before version 0" and not said_of([])
    for topic in ("control", "watermarks"):
        for record in bus.read(topic):
            assert run_of(known, (topic, 0), record.offset) == record.event().run
    assert run_of([], ("control", 0), 0) is None and run_on(MemoryBus()) is None


def test_the_archive_of_a_parent_is_not_that_of_its_fork() -> None:
    bus = log_of_forks()
    found = newest_watermark(bus)
    assert found is not None and (found.run, found.digest) == ("two", "2")
    asyncio.run(bus.publish([start("three", bus, "two", 4)]))
    assert newest_watermark(bus) is None and newest_watermark(bus, "archive") is None
    asyncio.run(bus.publish([mark("three", 7)]))
    found = newest_watermark(bus)
    assert found is not None and found.run == "three"


def test_a_record_of_another_run_than_its_own_is_found(tmp_path: Path) -> None:
    bus = log_of_forks()
    assert not audit(bus, tmp_path).violations
    asyncio.run(bus.publish([mark("root", 9)]))
    found = [str(one) for one in audit(bus, tmp_path).violations]
    assert any("watermarks/0/6" in one and "another run" in one for one in found), found
