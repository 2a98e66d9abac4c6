"""Below the reserve the proposer takes nothing new, far below it the trainer too."""

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from bus.control import Switch
from evolvent.reserve import DiskConfig, Reserve

MB = 10**6


class Room:
    """A disk with so much free space."""

    free = 0
    looks = 0

    def __call__(self, path: Path) -> int:
        self.looks += 1
        return self.free


async def watched(reserve: Reserve, room: Room) -> None:
    """Until it has looked, and looked again."""
    looks = room.looks
    watching = asyncio.ensure_future(reserve.watch())
    async with asyncio.timeout(60):
        while room.looks < looks + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watching.cancel()


@pytest.mark.parametrize(
    ("free", "is_open"),
    [(200 * MB, (True, True, True)), (80, (False, False, True)), (80 * MB, (False, True, True))],
)
def test_who_waits_for_room(free: int, is_open: tuple[bool, bool, bool], tmp_path: Path) -> None:
    async def scenario() -> None:
        room = Room()
        room.free = free
        reserve = Reserve(tmp_path, DiskConfig(reserve_gb=0.1), room)
        switches = {name: Switch() for name in ("proposer", "trainer", "solver")}
        for name, switch in switches.items():
            reserve.guard(name, switch)
        assert tuple(switch.is_open for switch in switches.values()) == is_open
        room.free = 200 * MB
        await watched(reserve, room)
        assert all(switch.is_open for switch in switches.values())

    asyncio.run(scenario())


def test_room_opens_nothing_that_the_operator_has_closed(tmp_path: Path) -> None:
    async def scenario() -> None:
        room, switch = Room(), Switch()
        reserve = Reserve(tmp_path, DiskConfig(reserve_gb=0.1), room)
        reserve.guard("proposer", switch)
        switch.set(is_open=False, is_off=False)
        room.free = 200 * MB
        await watched(reserve, room)
        assert not switch.is_open
        switch.set(is_open=True, is_off=False)
        assert switch.is_open

    asyncio.run(scenario())


def test_without_a_reserve_nobody_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        switch = Switch()
        Reserve(tmp_path, DiskConfig(reserve_gb=0), Room()).guard("proposer", switch)
        assert switch.is_open

    asyncio.run(scenario())


def test_a_small_disk_is_not_all_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolvent.reserve.whole_bytes", lambda _: 256 * 10**6)
    assert DiskConfig().reserve(tmp_path) == 25.6 * 10**6
    assert DiskConfig(reserve_gb=1).reserve(tmp_path) == 10**9
    monkeypatch.setattr("evolvent.reserve.whole_bytes", lambda _: 10**12)
    assert DiskConfig().reserve(tmp_path) == 10**9


def test_a_reserve_is_no_negative_number() -> None:
    with pytest.raises(ValidationError):
        DiskConfig(reserve_gb=-1)
