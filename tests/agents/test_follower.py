"""The follower: the engine is at the newest version; overtaken versions are never loaded."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.engines.engine import Swap, SwapRefused
from agents.follower import PolicyFollower
from bus.bus import Record
from bus.events import Promotion, Weights
from bus.memory import MemoryBus
from tests.agents.asking import engine, says, weights


def checkpoint(run: Path, number: int) -> Weights:
    """A version whose one file lies in the run's folder."""
    folder = run / f"v{number}"
    folder.mkdir()
    content = f"weights {number}".encode()
    (folder / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    made = weights(number, location=f"v{number}")
    return made.model_copy(update={"files": {"model.safetensors": digest}})


def test_only_the_newest_version_is_loaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own, swaps = MemoryBus(), engine(says(""), version=-1), list[Swap]()
        follower = PolicyFollower(bus, own, tmp_path, swaps.append)
        await bus.publish([checkpoint(tmp_path, number) for number in range(5)])
        following = asyncio.ensure_future(follower.run())
        await asyncio.wait_for(follower.at_least(4), 10)
        await bus.publish([checkpoint(tmp_path, 5), checkpoint(tmp_path, 6)])
        await asyncio.wait_for(follower.at_least(6), 10)
        await bus.publish([checkpoint(tmp_path, 7)])
        await asyncio.wait_for(follower.at_least(7), 10)
        following.cancel()
        assert [(swap.from_version, swap.to_version) for swap in swaps] == [(-1, 4), (4, 6), (6, 7)]
        assert own.version == 7

    asyncio.run(scenario())


def test_a_version_that_is_served_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        follower = PolicyFollower(MemoryBus(), engine(says(""), 3), tmp_path, lambda swap: None)
        await asyncio.wait_for(follower.at_least(3), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(follower.at_least(4), 0.05)

    asyncio.run(scenario())


def test_a_version_whose_files_are_damaged_ends_the_follower(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says(""), version=-1)
        await bus.publish([checkpoint(tmp_path, 0)])
        (tmp_path / "v0" / "model.safetensors").write_bytes(b"other")
        with pytest.raises(SwapRefused):
            await PolicyFollower(bus, own, tmp_path, lambda swap: None).run()
        assert own.version == -1

    asyncio.run(scenario())


def test_a_refused_version_is_an_event_and_the_one_before_serves_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says(""), version=-1)
        follower = PolicyFollower(bus, own, tmp_path, lambda swap: None)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0)])
        await asyncio.wait_for(follower.at_least(0), 10)
        damaged, good = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
        (tmp_path / "v1" / "model.safetensors").write_bytes(b"other")
        await bus.publish([damaged])
        async with asyncio.timeout(10):
            [record] = [each async for each in first(bus.follow("promotions"), 1)]
        rejected = record.event()
        assert isinstance(rejected, Promotion)
        assert (rejected.weights, rejected.decision) == (damaged.id, "rejected")
        assert "sha256" in rejected.reasons[0]
        assert own.version == 0
        await bus.publish([good])
        await asyncio.wait_for(follower.at_least(2), 10)
        following.cancel()

    asyncio.run(scenario())


def test_a_refused_version_that_no_later_one_follows_ends_the_follower(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says(""), version=-1)
        follower = PolicyFollower(bus, own, tmp_path, lambda swap: None, patience_seconds=0.05)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0)])
        await asyncio.wait_for(follower.at_least(0), 10)
        damaged = checkpoint(tmp_path, 1)
        (tmp_path / "v1" / "model.safetensors").write_bytes(b"other")
        await bus.publish([damaged])
        with pytest.raises(SwapRefused):
            await asyncio.wait_for(following, 10)
        assert own.version == 0

    asyncio.run(scenario())


def test_a_version_outside_the_run_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        run = tmp_path / "run"
        run.mkdir()
        elsewhere = checkpoint(tmp_path, 0).model_copy(update={"location": "../v0"})
        bus, own = MemoryBus(), engine(says(""), version=-1)
        await bus.publish([elsewhere])
        with pytest.raises(SwapRefused, match="outside"):
            await PolicyFollower(bus, own, run, lambda swap: None).run()
        assert own.version == -1

    asyncio.run(scenario())


async def first(records: AsyncIterator[Record], count: int) -> AsyncIterator[Record]:
    for _ in range(count):
        yield await anext(records)
