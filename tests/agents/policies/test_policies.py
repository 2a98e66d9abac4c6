"""Policies by name: shared by whoever names the same one, each where its rule says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import pytest

from agents.engines.config import LocalConfig, VllmConfig
from agents.engines.engine import Engine, EngineUnusable, Swap
from agents.policies.config import BUILT_IN, PolicyConfig
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policies, Policy
from bus.bus import Bus
from bus.events import Weights
from bus.memory.bus import MemoryBus
from tests.agents.asking import engine, says, weights
from tests.agents.engines.checkpoint.tiny_checkpoint import Checkpoint, request, save_checkpoint
from tests.agents.engines.serving import agent, serving
from tests.agents.policies.versions import checkpoint

Build = Callable[[str], Engine]
SLACK_MS = 50.0
"""What a busy machine adds to a swap before and after it."""


TRAINED = {
    "challenger": PolicyConfig(chain="challenger"),
    "rival": PolicyConfig(follow="previous", chain="challenger"),
}
"""Of a run that trains a challenger beside whoever answers."""


class Rig:
    """Policies over `bus`, and their swaps with the moment of each."""

    def __init__(self, bus: Bus, run: Path, build: Build) -> None:
        self._bus = bus
        self._run = run
        self._build = build
        self.built: list[str] = []
        self.swaps: list[tuple[float, str, Swap]] = []
        self.policies = Policies(self._make)

    def _make(self, name: str) -> Policy:
        self.built.append(name)
        own = self._build(name)

        def swapped(swap: Swap) -> None:
            self.swaps.append((perf_counter(), name, swap))

        rule = (BUILT_IN | TRAINED).get(name, PolicyConfig())
        follower = PolicyFollower(self._bus, own, self._run, swapped, rule=rule)
        return Policy(name=name, engine=own, follower=follower)

    def version(self, name: str) -> int:
        return self.policies(name).engine.version

    @asynccontextmanager
    async def following(self, *names: str) -> AsyncIterator[None]:
        for name in names:
            _ = self.policies(name)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.policies.run())
            yield
            running.cancel()
        await self.policies.close()


def test_who_names_the_same_policy_shares_it_and_nothing_is_built_unasked(tmp_path: Path) -> None:
    rig = Rig(MemoryBus(), tmp_path, lambda name: engine(says(name), version=-1))
    assert rig.built == []
    assert rig.policies("current") is rig.policies("current")
    assert rig.policies("previous") is not rig.policies("current")
    assert rig.built == ["current", "previous"]


def test_every_policy_is_where_its_rule_says_and_is_closed_with_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        rig = Rig(bus, tmp_path, lambda name: engine(says(name), version=-1))
        async with rig.following(*BUILT_IN):
            for newest in range(4):
                await bus.publish([checkpoint(tmp_path, newest)])
                for name in BUILT_IN:
                    follower = rig.policies(name).follower
                    await asyncio.wait_for(follower.at_least(newest), 10)
                served = [rig.version(name) for name in BUILT_IN]
                assert served == [newest, max(0, newest - 1), 0, 0]
        for name in BUILT_IN:
            own = rig.policies(name).engine
            with pytest.raises(RuntimeError, match="closed"):
                await own.generate(request(own))

    asyncio.run(scenario())


def test_policies_that_are_trained_in_turn_stay_where_they_are_meanwhile(tmp_path: Path) -> None:
    """Versions 1, 2 and 5 move the challenger, 3 and 4 whoever answers."""

    async def scenario() -> None:
        bus, names = MemoryBus(), ("current", "previous", "reference", "challenger", "rival")
        rig = Rig(bus, tmp_path, lambda name: engine(says(name), version=-1))
        served = []
        async with rig.following(*names):
            for newest in range(6):
                policy = "challenger" if newest in (1, 2, 5) else "current"
                made = checkpoint(tmp_path, newest).model_copy(update={"policy": policy})
                await bus.publish([made])
                for name in names:
                    follower = rig.policies(name).follower
                    await asyncio.wait_for(follower.at_least(newest), 10)
                served.append([rig.version(name) for name in names])
        assert served == [
            [0, 0, 0, 0, 0],
            [0, 0, 0, 1, 0],
            [0, 0, 0, 2, 1],
            [3, 0, 0, 2, 1],
            [4, 3, 0, 2, 1],
            [4, 3, 0, 5, 2],
        ]

    asyncio.run(scenario())


def test_what_one_follower_raises_ends_them_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        rig = Rig(bus, tmp_path, lambda name: engine(says(name), version=-1))
        await bus.publish([checkpoint(tmp_path, 0)])
        (tmp_path / "v0" / "model.safetensors").write_bytes(b"other")
        _ = rig.policies("current"), rig.policies("previous")
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(rig.policies.run(), 10)

    asyncio.run(scenario())


def version(run: Path, number: int) -> tuple[Weights, Checkpoint]:
    """A version that any engine serves; every third one has the same weights."""
    made = save_checkpoint(run / f"v{number}", number % 3)
    event = weights(number, location=f"v{number}")
    return event.model_copy(update={"files": made.files}), made


async def busy(own: Engine) -> None:
    """Callers enough to keep an engine generating."""

    async def caller() -> None:
        while True:
            await own.generate(request(own, n=4, max_tokens=40))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(caller())


async def evolve(rig: Rig, bus: Bus, run: Path, names: Sequence[str], seconds: float) -> float:
    """Publish two versions at a time, so that each swap leads two versions on, while all policies
    generate. Returns for how many ms at most the machine stood still."""
    events = [version(run, number)[0] for number in range(21)]
    async with asyncio.timeout(300), rig.following(*names):
        await bus.publish(events[:1])
        for name in names:
            await rig.policies(name).follower.at_least(0)
        still_ms = [0.0]
        ticking = asyncio.ensure_future(tick(still_ms))
        generating = [asyncio.ensure_future(busy(rig.policies(name).engine)) for name in names]
        for number in range(1, 21, 2):
            await bus.publish(events[number : number + 2])
            await asyncio.sleep(seconds)
            # However slow the machine, a swap is shorter than the time between versions.
            for name in names:
                await rig.policies(name).follower.at_least(number + 1)
        for task in generating:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.wait(generating)
        ticking.cancel()
        return max(still_ms)


async def tick(still_ms: list[float]) -> None:
    """By how much each of many short pauses was too long."""
    while True:
        began = perf_counter()
        await asyncio.sleep(0.005)
        still_ms.append(1e3 * (perf_counter() - began) - 5)


def far_apart_ms(swaps: Sequence[tuple[float, str, Swap]]) -> float:
    """How long, without a break, two policies were more than one version apart."""
    served: dict[str, int] = {}
    longest, since = 0.0, None
    for at, name, swap in swaps:
        served[name] = swap.to_version
        apart = max(served.values()) - min(served.values())
        if len(served) == 2 and apart > 1:
            since = since or at
        elif since is not None:
            longest, since = max(longest, at - since), None
    assert since is None, "the last swap brings them together"
    return 1e3 * longest


def slowest_ms(swaps: Sequence[tuple[float, str, Swap]]) -> float:
    """The longest swap but for the first ones, which load the model."""
    return max(swap.load_ms + swap.pause_ms for _, _, swap in swaps if swap.from_version >= 0)


def test_the_previous_version_is_far_behind_for_no_longer_than_a_swap(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        with ThreadPoolExecutor(1) as executor:
            rig = Rig(bus, tmp_path, lambda _: LocalConfig().build(executor, 0))
            names = ("current", "previous")
            still_ms = await evolve(rig, bus, tmp_path, names, 0.2)
        assert [rig.version(name) for name in names] == [20, 19]
        assert 0 < far_apart_ms(rig.swaps) <= slowest_ms(rig.swaps) + SLACK_MS + still_ms

    asyncio.run(scenario())


@pytest.mark.vllm
@pytest.mark.timeout(400)
def test_two_engines_are_far_apart_for_no_longer_than_a_swap(tmp_path: Path) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        with ThreadPoolExecutor(1) as executor:
            engines = {
                "one": VllmConfig(cache_megabytes=16, inflight="keep"),
                "other": VllmConfig(cache_megabytes=16, inflight="wait"),
            }
            rig = Rig(bus, tmp_path, lambda name: engines[name].build(executor, 0))
            still_ms = await evolve(rig, bus, tmp_path, list(engines), 0.8)
        assert rig.version("one") == rig.version("other") == 20
        assert 0 < far_apart_ms(rig.swaps) <= slowest_ms(rig.swaps) + SLACK_MS + still_ms

    asyncio.run(scenario())


@pytest.mark.parametrize("served", [4, 5])
def test_a_server_of_the_previous_version_may_be_one_further(tmp_path: Path, served: int) -> None:
    """The agent's follower has seen version 5; the server may have seen 6, which is on the log."""

    async def scenario() -> None:
        bus = MemoryBus()
        made = [version(tmp_path, number) for number in range(7)]
        await bus.publish([event for event, _ in made[:6]])
        async with serving() as server, agent(server.url) as own:
            rig = Rig(bus, tmp_path, lambda name: own)
            await server.swap(served, made[served][1])
            if served == 5:
                await bus.publish([made[6][0]])
            async with rig.following("previous"):
                await asyncio.wait_for(rig.policies("previous").follower.at_least(5), 10)
                [said] = await own.generate(request(own))
                assert {span.version for span in said.spans} == {served}

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["previous", "reference"])
def test_a_server_of_another_policy_is_found_out(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        made = [version(tmp_path, number) for number in range(3)]
        await bus.publish([event for event, _ in made])
        async with serving() as server, agent(server.url) as own:
            await server.swap(2, made[2][1])
            follower = PolicyFollower(bus, own, tmp_path, lambda swap: None, rule=BUILT_IN[name])
            with pytest.raises(EngineUnusable, match="it follows another policy"):
                await asyncio.wait_for(follower.run(), 10)

    asyncio.run(scenario())
