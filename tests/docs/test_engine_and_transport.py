"""The examples of an engine and of a transport, held to what ours are held to."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agents.engines.engine import Engine
from bus.bus import Bus, Subscription
from bus.config import SqliteConfig
from bus.errors import BusError
from tests.agents.engines import test_engine_contract as contract
from tests.agents.engines.checkpoint.tiny_checkpoint import (
    Checkpoint,
    Open,
    request,
    save_checkpoint,
)
from tests.bus.contract import test_complete, test_fencing, test_log, test_take
from tests.bus.contract.drivers import Driver
from tests.bus.contract.saying import answer_to, control, take_all
from tests.docs.pages import module_of

PROMISES = (
    contract.test_text_survives_encoding,
    contract.test_samples_as_many_as_asked,
    contract.test_greedy_repeats_itself,
    contract.test_a_seed_fixes_samples_alone_and_in_a_crowd,
    contract.test_a_text_that_stops_ends_a_sample_with_the_token_that_completes_it,
    contract.test_a_version_not_above_is_passed_over,
    contract.test_no_request_is_lost_across_twenty_swaps,
    contract.test_a_senseless_request_is_an_error_of_its_caller,
    contract.test_a_cancelled_caller_harms_no_other,
    contract.test_close_leaves_nobody_waiting,
    contract.test_serves_nothing_before_the_first_swap,
)
CARRYING = (
    test_complete.test_outputs_and_completion_are_one_commit,
    test_complete.test_many_tasks_complete_at_once_in_any_order,
    test_fencing.test_an_exclusive_member_takes_everything_and_fences_all_others,
    test_log.test_offsets_are_dense_and_a_key_keeps_its_order,
    test_log.test_followers_see_everything_from_where_they_start,
    test_take.test_what_was_taken_and_not_completed_comes_again,
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Checkpoint]:
    root = tmp_path_factory.mktemp("checkpoints")
    return [save_checkpoint(root / str(seed), seed) for seed in range(3)]


@pytest.fixture(scope="module")
def open_engine(tmp_path_factory: pytest.TempPathFactory) -> Open:
    engine = module_of("engine", tmp_path_factory.mktemp("engine"))

    @asynccontextmanager
    async def opened() -> AsyncIterator[Engine]:
        with ThreadPoolExecutor(max_workers=1) as executor:
            made = engine.BabbleConfig(tokens_per_second=500.0).build(executor, seed=0)
            yield made
            await made.close()

    return opened


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_engine_keeps_the_contract(
    promise: Any, open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    if promise is contract.test_serves_nothing_before_the_first_swap:
        promise(open_engine)
    else:
        promise(open_engine, checkpoints)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_engine_draws_by_the_probabilities_that_it_names(
    temperature: float, open_engine: Open, checkpoints: list[Checkpoint]
) -> None:
    async def scenario() -> None:
        async with open_engine() as engine:
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            asked = request(engine, "aab>", n=4_000, max_tokens=1, temperature=temperature, seed=1)
            drawn = await engine.generate(asked)
        named = {one.tokens[0]: math.exp(one.logprobs[0]) for one in drawn}
        assert sum(named.values()) == pytest.approx(1.0)
        counts = Counter(one.tokens[0] for one in drawn)
        for token, probability in named.items():
            assert counts[token] / len(drawn) == pytest.approx(probability, abs=0.04)

    asyncio.run(scenario())


def test_the_engine_is_as_fast_as_it_is_told_to_be(
    tmp_path: Path, checkpoints: list[Checkpoint]
) -> None:
    module = module_of("engine", tmp_path)

    async def took(tokens_per_second: float) -> float:
        with ThreadPoolExecutor(max_workers=1) as executor:
            engine = module.BabbleConfig(tokens_per_second=tokens_per_second).build(executor, 0)
            await engine.swap(0, checkpoints[0].folder, checkpoints[0].files)
            start = asyncio.get_running_loop().time()
            # Greedy, it says the likeliest character until there is no more room.
            await engine.generate(request(engine, "aab>", n=64, max_tokens=20, temperature=0.0))
            return asyncio.get_running_loop().time() - start

    assert asyncio.run(took(200.0)) >= 0.1
    config = module.BabbleConfig()
    assert (config.servers, config.in_process()) == ((), config)


@dataclass
class RamDriver:
    """The transport as its configuration builds it, for every client of one log."""

    config: Any
    run: Path
    buses: list[Bus] = field(default_factory=list)

    def open(self) -> Bus:
        bus: Bus = self.config.build(self.run, create=not self.buses)
        self.buses.append(bus)
        return bus

    async def die(self, bus: Bus, subscription: Subscription) -> None:
        await bus.close()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@pytest.fixture
def ram(tmp_path: Path) -> RamDriver:
    config = module_of("transport", tmp_path).RamConfig(folder=tmp_path)
    return RamDriver(config=config, run=tmp_path / "words")


@pytest.mark.parametrize("promise", CARRYING, ids=lambda promise: promise.__name__)
def test_the_transport_keeps_the_contract(promise: Any, ram: RamDriver) -> None:
    def run(scenario: Callable[[Driver], Awaitable[None]]) -> None:
        async def within() -> None:
            try:
                await scenario(ram)
            finally:
                await ram.close()

        asyncio.run(within())

    promise(run)
    assert Path(ram.config.place(ram.run)).exists()


def test_the_transport_carries_an_event_to_another_client(ram: RamDriver) -> None:
    said = control(1)

    async def scenario() -> None:
        first, second = ram.open(), ram.open()
        await first.publish([said])
        async with second.subscribe(["control"], "group", "member") as subscription:
            [delivery] = await take_all(subscription, 1)
            assert delivery.event() == said
            await subscription.complete([delivery], [answer_to(delivery)])
        [answer] = first.log.read("promotions")
        assert answer.event().answers == said.id
        await ram.close()

    asyncio.run(scenario())


def test_the_transport_says_whose_log_it_is(tmp_path: Path) -> None:
    ram = module_of("transport", tmp_path).RamConfig
    kept = ram(folder=tmp_path).named(tmp_path / "words")
    assert kept.one_machine
    for moved in (tmp_path / "words", tmp_path / "other"):
        assert (kept.name(moved), kept.named(moved)) == ("words", kept)
        assert kept.place(moved) == str(tmp_path / "evolvent-words.sqlite")
    assert kept.is_log_of(ram(folder=tmp_path)) and kept.is_log_of(kept)
    assert not kept.is_log_of(ram(folder=tmp_path / "elsewhere"))
    assert not kept.is_log_of(ram(folder=tmp_path, app="other"))
    assert not kept.is_log_of(SqliteConfig())
    with pytest.raises(BusError, match="There is no log at"):
        kept.build(tmp_path / "words")
