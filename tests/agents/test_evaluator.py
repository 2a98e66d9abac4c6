"""The evaluator: greedy scores on the held-out suites of the versions that are due."""

import asyncio
import math
from random import Random

import pytest

from agents.domains.strings import Strings, StringsConfig
from agents.engines.engine import Engine
from agents.evaluator import Evaluator, EvaluatorConfig, wilson_interval
from agents.parts import Parts
from bus.bus import Bus
from bus.events import Control, derive_id
from bus.memory.bus import MemoryBus
from bus.runner import Rejected
from tests.agents.asking import RUN, engine, weights
from tests.agents.parts import parts_for

STRINGS = StringsConfig(families=("reverse",), levels=(2, 4, 5, 6), warmup_levels=(2, 4))
CONFIG = EvaluatorConfig(every=5, count=10)


def reverses_up_to(length: int) -> Engine:
    def script(prompt: str, version: int, random: Random) -> str:
        digits = prompt[1:-1]
        return digits[::-1] if len(digits) <= length else "0"

    return engine(script, version=-1)


def evaluator(bus: Bus, config: EvaluatorConfig = CONFIG) -> Evaluator:
    return Evaluator(parts_for(STRINGS, bus=bus, serves=lambda: reverses_up_to(5)), config)


def request(version: int, command: str = "evaluate") -> Control:
    return Control.model_validate(
        {
            "id": derive_id(RUN, "operator", f"{command}/{version}"),
            "run": RUN,
            "agent": "operator",
            "command": command,
            "weights_version": version,
        }
    )


def test_levels_are_scored_apart_and_warm_up_levels_are_not_held_out() -> None:
    [found] = asyncio.run(evaluator(MemoryBus()).handle(weights(0)))
    assert {score.level: score.correct for score in found.scores} == {2: 10, 4: 10, 5: 10, 6: 0}
    assert {score.total for score in found.scores} == {10}
    assert (found.seen, found.held_out) == (1.0, 0.5)
    assert (found.weights, found.weights_version, found.warmup_end) == (weights(0).id, 0, 4)


class Known(Strings):
    async def measure(self, engine: Engine) -> dict[str, float]:
        return {"version": float(engine.version), "odd": math.nan}


class KnownConfig(StringsConfig):
    def build(self, parts: Parts | None = None) -> Known:
        return Known(self)


def test_what_a_domain_measures_of_a_version_is_said_if_it_is_a_number() -> None:
    config = KnownConfig(families=("reverse",), levels=(2, 4), warmup_levels=(2, 4))
    measuring = Evaluator(parts_for(config, serves=lambda: reverses_up_to(5)), CONFIG)
    [found] = asyncio.run(measuring.handle(weights(0)))
    assert found.quantities == {"version": 0.0}
    [plain] = asyncio.run(evaluator(MemoryBus()).handle(weights(0)))
    assert plain.quantities == {}


def test_only_chosen_levels_are_scored() -> None:
    config = EvaluatorConfig(every=5, count=3, levels=(6,))
    [found] = asyncio.run(evaluator(MemoryBus(), config).handle(weights(0)))
    assert [(score.level, score.total) for score in found.scores] == [(6, 3)]
    assert (found.held_out, found.seen) == (0.0, 0.0)


@pytest.mark.parametrize(("number", "due"), [(0, True), (1, False), (4, False), (5, True)])
def test_every_so_many_versions_one_is_due(number: int, due: bool) -> None:
    assert len(asyncio.run(evaluator(MemoryBus()).handle(weights(number)))) == due


def test_any_version_can_be_asked_for() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([weights(number) for number in range(4)])
        role = evaluator(bus)
        [found] = await role.handle(request(3))
        assert found.weights_version == 3
        [again] = await role.handle(request(3))
        assert again.id == found.id
        assert await role.handle(request(3, command="pause")) == []
        with pytest.raises(Rejected, match="there is no version 9"):
            await role.handle(request(9))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(
    correct: int, total: int, low: float, high: float
) -> None:
    assert wilson_interval(correct / total, total) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_perfect_score_ends_at_one() -> None:
    low, high = wilson_interval(1.0, 64)
    assert 0.94 < low < 0.95 and high == pytest.approx(1.0)


def test_a_version_that_moved_another_policy_is_measured_by_whoever_answers() -> None:
    bus = MemoryBus()
    chain = [weights(0), weights(1), weights(2).model_copy(update={"policy": "challenger"})]
    asyncio.run(bus.publish(chain))
    domain = KnownConfig(families=("reverse",), levels=(2, 4), warmup_levels=(2, 4))
    parts = parts_for(domain, bus=bus, serves=lambda: reverses_up_to(5))
    measuring = Evaluator(parts, EvaluatorConfig(every=2, count=1))
    [found] = asyncio.run(measuring.handle(chain[2]))
    assert (found.weights_version, found.quantities["version"]) == (2, 1.0)
