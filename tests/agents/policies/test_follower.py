"""The follower: the engine is at the newest version; overtaken versions are never loaded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agents.engines.engine import Swap, SwapRefused
from agents.policies.config import BUILT_IN, PolicyConfig
from agents.policies.follower import PolicyFollower
from bus.bus import Bus
from bus.events import Promotion, Weights, derive_id
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from tests.agents.asking import engine, says, weights
from tests.agents.policies.versions import checkpoint


async def rejection(bus: MemoryBus, weights: Weights) -> Promotion:
    """The first promotion on the log, which must reject `weights`."""
    async with asyncio.timeout(10):
        [record] = [each async for each in first(bus.follow("promotions"), 1)]
    rejected = record.event()
    assert isinstance(rejected, Promotion)
    assert (rejected.weights, rejected.decision) == (weights.id, "rejected")
    return rejected


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
    """A server may have swapped before the agent's follower looks at the log."""

    async def scenario() -> None:
        bus, swaps = MemoryBus(), list[Swap]()
        await bus.publish([checkpoint(tmp_path, number) for number in range(4)])
        follower = PolicyFollower(bus, engine(says(""), 3), tmp_path, swaps.append)
        following = asyncio.ensure_future(follower.run())
        await asyncio.wait_for(follower.at_least(3), 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(follower.at_least(4), 0.05)
        following.cancel()
        assert swaps == []

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
        rejected = await rejection(bus, damaged)
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


def test_the_previous_version_is_one_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own, swaps = MemoryBus(), engine(says(""), version=-1), list[Swap]()
        follower = PolicyFollower(bus, own, tmp_path, swaps.append, rule=BUILT_IN["previous"])
        following = asyncio.ensure_future(follower.run())
        for numbers, newest in ((range(1), 0), (range(1, 5), 4), (range(5, 6), 5)):
            await bus.publish([checkpoint(tmp_path, number) for number in numbers])
            await asyncio.wait_for(follower.at_least(newest), 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(follower.at_least(6), 0.05)
        following.cancel()
        assert [swap.to_version for swap in swaps] == [0, 3, 4]

    asyncio.run(scenario())


def test_a_reference_is_waited_for_and_served_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own, swaps = MemoryBus(), engine(says(""), version=-1), list[Swap]()
        rule = PolicyConfig(follow="reference", version=2)
        follower = PolicyFollower(bus, own, tmp_path, swaps.append, rule=rule)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0), checkpoint(tmp_path, 1)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(follower.at_least(0), 0.05)
        await bus.publish([checkpoint(tmp_path, number) for number in range(2, 5)])
        await asyncio.wait_for(follower.at_least(4), 10)
        await bus.publish([checkpoint(tmp_path, 5)])
        await asyncio.wait_for(follower.at_least(5), 10)
        following.cancel()
        assert [swap.to_version for swap in swaps] == [2]

    asyncio.run(scenario())


def stranger(run: Path, number: int, **claims: object) -> Weights:
    """A version that names a parent which nobody published."""
    folder = run / f"stranger-{number}"
    folder.mkdir()
    made = checkpoint(folder, number)
    claims = {"parent_id": weights(99).id, **claims}
    return made.model_copy(
        update={
            "id": derive_id("stranger", "trainer", str(number)),
            "location": f"{folder.name}/v{number}",
            **claims,
        }
    )


STRANGE = [{}, {"parent": None, "parent_id": None}, {"parent": 5, "parent_id": weights(0).id}]


@pytest.mark.parametrize("claims", STRANGE)
def test_a_version_of_unknown_parent_is_refused(tmp_path: Path, claims: dict[str, object]) -> None:
    async def scenario() -> None:
        bus, own = MemoryBus(), engine(says(""), version=-1)
        follower = PolicyFollower(bus, own, tmp_path, lambda swap: None)
        following = asyncio.ensure_future(follower.run())
        await bus.publish([checkpoint(tmp_path, 0)])
        await asyncio.wait_for(follower.at_least(0), 10)
        unknown = stranger(tmp_path, 1, **claims)
        await bus.publish([unknown])
        rejected = await rejection(bus, unknown)
        assert "its parent, which is not on the log" in rejected.reasons[0]
        assert own.version == 0
        await bus.publish([checkpoint(tmp_path, 1)])
        await asyncio.wait_for(follower.at_least(1), 10)
        following.cancel()

    asyncio.run(scenario())


def test_strangers_on_the_log_do_not_confuse_the_previous_version(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus, own, swaps = MemoryBus(), engine(says(""), version=-1), list[Swap]()
        follower = PolicyFollower(bus, own, tmp_path, swaps.append, rule=BUILT_IN["previous"])
        await bus.publish([checkpoint(tmp_path, 0), stranger(tmp_path, 1)])
        await bus.publish([checkpoint(tmp_path, number) for number in (1, 2)])
        following = asyncio.ensure_future(follower.run())
        await asyncio.wait_for(follower.at_least(2), 10)
        following.cancel()
        assert [swap.to_version for swap in swaps] == [1]
        assert bus.heads()["promotions", 0] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("make", [lambda run: MemoryBus(), lambda run: SqliteBus(run / "log")])
def test_what_is_refused_again_is_said_once(tmp_path: Path, make: Callable[[Path], Bus]) -> None:
    """By two processes at once, and by one that starts again."""

    async def scenario() -> None:
        bus = make(tmp_path)
        good, damaged = checkpoint(tmp_path, 0), checkpoint(tmp_path, 1)
        (tmp_path / "v1" / "model.safetensors").write_bytes(b"other")
        await bus.publish([good])
        engines = [engine(says(""), version=-1) for _ in range(2)]
        followers = [PolicyFollower(bus, own, tmp_path, lambda swap: None) for own in engines]
        running = [asyncio.ensure_future(follower.run()) for follower in followers]
        await asyncio.wait_for(asyncio.gather(*(each.at_least(0) for each in followers)), 10)
        await bus.publish([damaged])
        for _ in range(2):
            with pytest.raises(SwapRefused):
                fresh = engine(says(""), version=-1)
                await PolicyFollower(bus, fresh, tmp_path, lambda swap: None).run()
        await bus.publish([checkpoint(tmp_path, 2)])
        await asyncio.wait_for(asyncio.gather(*(each.at_least(2) for each in followers)), 10)
        for each in running:
            each.cancel()
        assert [record.event().answers for record in bus.log.read("promotions")] == [damaged.id]
        await bus.close()

    asyncio.run(scenario())


async def first(records: AsyncIterator[Record], count: int) -> AsyncIterator[Record]:
    for _ in range(count):
        yield await anext(records)
