"""Whole games: who is asked what in which seat, what ends one, and what may be learned."""

import asyncio
from random import Random

import pytest

from agents.domains.kuhn import FAMILY, KuhnConfig
from agents.engines.scripted import ScriptedEngine
from agents.judges.game import GameConfig as JudgeConfig
from agents.samplers.game import GameConfig
from agents.solver import Solver, SolverConfig
from bus.events import Attempt, Task
from evolvent.contract.ground import task
from tests.agents.asking import engine
from tests.agents.parts import parts_for

KUHN = KuhnConfig()


def dealt(first: int, second: int) -> Task:
    """The task of a deal."""
    domain = KUHN.build()
    problems = (domain.make(FAMILY, 1, Random(seed)) for seed in range(999))
    cards = [first, second]
    found = next(problem for problem in problems if problem.metadata["cards"] == cards)
    return task(found).model_copy(update={"weights_version": 0})


def played(
    own: ScriptedEngine,
    config: GameConfig,
    of: Task,
    others: dict[str, ScriptedEngine] | None = None,
    samples: int = 6,
) -> Attempt:
    parts = parts_for(KUHN, engine=own, others=others)
    solver = Solver(parts, config.build(parts), SolverConfig(samples=samples))
    attempt, _ = asyncio.run(solver.attempt(of))
    return attempt


def bluffs(prompt: str, version: int, random: Random) -> str:
    return {"kq>": "p", "kjp>": "b", "kqpb>": "b"}[prompt]


def rolls(prompt: str, version: int, random: Random) -> str:
    return random.choice(["p", "b", "b", "x"])


def test_both_seats_are_played_in_turn_to_the_end() -> None:
    own = engine(bluffs)
    attempt = played(own, GameConfig(), dealt(1, 0))
    assert len(attempt.samples) == 6
    for sample in attempt.samples:
        assert [turn.seat for turn in sample.turns] == ["first", "second", "first"]
        assert [turn.text for turn in sample.turns] == ["p", "b", "b"]
        assert [own.decode(turn.prompt_tokens) for turn in sample.turns] == [
            "kq>",
            "kjp>",
            "kqpb>",
        ]
        assert all(turn.trainable for turn in sample.turns)


def test_games_part_and_an_illegal_move_ends_one() -> None:
    of = dealt(2, 1)
    attempt = played(engine(rolls), GameConfig(), of, samples=64)
    moves = [tuple(turn.text for turn in sample.turns) for sample in attempt.samples]
    assert len(moves) == 64
    ends = {("p", "p"), ("p", "b", "p"), ("p", "b", "b"), ("b", "p"), ("b", "b")}
    illegal = {("x",), ("p", "x"), ("b", "x"), ("p", "b", "x")}
    assert set(moves) <= ends | illegal
    assert set(moves) & ends and set(moves) & illegal
    judge = JudgeConfig().build(parts_for(KUHN))
    for sample, verdict in zip(attempt.samples, asyncio.run(judge.judge(attempt)), strict=True):
        ended = sample.turns[-1].text != "x"
        mover = sample.turns[-1].seat
        assert verdict.known
        assert sum(verdict.seats.values()) == (0.0 if ended else -1.0)
        assert ended or verdict.seats[mover] == -1.5


def test_an_opponent_has_a_seat_and_is_not_learned_from() -> None:
    other = engine(lambda prompt, version, random: "b")
    config = GameConfig(opponents={"second": "previous"})
    assert config.uses == ("previous",)
    attempt = played(engine(bluffs), config, dealt(1, 0), {"previous": other})
    for sample in attempt.samples:
        said = [(turn.seat, turn.policy, turn.trainable) for turn in sample.turns]
        assert said == [
            ("first", "current", True),
            ("second", "previous", False),
            ("first", "current", True),
        ]


@pytest.mark.parametrize(
    ("opponents", "said"),
    [
        ({"third": "previous"}, "there is no seat 'third'"),
        ({"first": "previous", "second": "previous"}, "one seat must be left to the solver"),
    ],
)
def test_seats_are_those_of_a_game_and_one_is_the_solvers(
    opponents: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        GameConfig(opponents=opponents)
