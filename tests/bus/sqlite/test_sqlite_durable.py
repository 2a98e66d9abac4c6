"""What must outlive a power cut is flushed before anybody sees it, and nothing else is."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from bus.events import Control, Event, Promotion, derive_id
from bus.sqlite.bus import SqliteBus
from bus.sqlite.file import Synchronous


class Flushes(apsw.VFS):
    """The file system, and whether a reader saw the newest promotion at each flush of the log."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.visible: list[bool] = []
        self.watches = False
        super().__init__("flushes", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return Flushed(self, name, flags)

    def seen(self) -> None:
        reader = apsw.Connection(str(self.log), flags=apsw.SQLITE_OPEN_READONLY, vfs="unix")
        query = "SELECT count(*) FROM log WHERE topic = 'promotions'"
        self.visible.append(bool(reader.execute(query).get))
        reader.close()


class Flushed(apsw.VFSFile):
    def __init__(self, flushes: Flushes, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self.flushes = flushes if path.endswith("-wal") else None

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        if self.flushes is not None and self.flushes.watches:
            self.flushes.seen()


@pytest.fixture
def flushes(tmp_path: Path) -> Iterator[Flushes]:
    made = Flushes(tmp_path / "log.db")
    yield made
    made.unregister()


def control(number: int) -> Control:
    identity = derive_id("run", "operator", str(number))
    return Control(id=identity, run="run", agent="operator", command="pause")


PROMOTION = Promotion(
    id="a" * 32, run="run", agent="gate", weights="b" * 32, weights_version=0, decision="promoted"
)


@pytest.mark.parametrize(
    ("synchronous", "event", "flushed"),
    [
        ("NORMAL", control(9), []),
        ("NORMAL", PROMOTION, [False]),
        ("FULL", control(9), [False]),
    ],
)
def test_only_what_is_durable_is_flushed_and_before_it_is_seen(
    flushes: Flushes, synchronous: Synchronous, event: Event, flushed: list[bool]
) -> None:
    async def scenario() -> None:
        bus = SqliteBus(flushes.log, synchronous=synchronous)
        await bus.publish([control(0)])
        flushes.watches = True
        await bus.publish([event])
        assert flushes.visible == flushed
        # The next commit is no more durable than it was.
        flushes.visible.clear()
        await bus.publish([control(1)])
        assert len(flushes.visible) == (synchronous == "FULL")
        flushes.watches = False
        await bus.close()

    asyncio.run(scenario())
