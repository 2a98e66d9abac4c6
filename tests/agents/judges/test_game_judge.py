"""What a game was worth to each seat: the rules by hand, illegal moves, games that did not end."""

import asyncio
from collections.abc import Sequence

import pytest

from agents.domains.kuhn import KuhnConfig
from agents.judges.combined import Combined
from agents.judges.game import GameConfig
from bus.events import Sample, Turn, Verdict
from evolvent.contract.ground import attempt, turn
from tests.agents.parts import parts_for
from tests.agents.samplers.test_game import dealt

PARTS = parts_for(KuhnConfig())


def moves(texts: Sequence[str], learns: Sequence[str] = ("first", "second")) -> Sample:
    seats = ("first", "second", "first")
    turns: list[Turn] = []
    for seat, text in zip(seats, texts, strict=False):
        update = {"seat": seat, "trainable": seat in learns}
        turns.append(turn(text.rstrip("."), ended="." not in text).model_copy(update=update))
    return Sample(turns=tuple(turns))


def verdict(*samples: Sample, config: GameConfig | None = None) -> Verdict:
    """Of the last one, the first player having the king and the second the queen."""
    judge = (config or GameConfig()).build(PARTS)
    return asyncio.run(judge.judge(attempt(dealt(2, 1), samples)))[-1]


@pytest.mark.parametrize(
    ("texts", "first"), [("pp", 1.0), ("pbp", -1.0), ("pbb", 2.0), ("bp", 1.0), ("bb", 2.0)]
)
def test_every_end_is_worth_what_the_rules_say(texts: str, first: float) -> None:
    found = verdict(moves(texts))
    assert found.seats == found.scores == {"first": first, "second": -first}
    assert found.reward == first
    assert found.reason == ("first wins" if first > 0 else "second wins")


@pytest.mark.parametrize(
    ("texts", "faulty", "reason"),
    [
        (["x"], "first", "no move"),
        (["p", ""], "second", "empty"),
        (["p", "b", "bb"], "first", "no move"),
        (["b", "b."], "second", "not ended"),
    ],
)
def test_an_illegal_move_costs_who_made_it(texts: list[str], faulty: str, reason: str) -> None:
    found = verdict(moves(texts))
    other = "second" if faulty == "first" else "first"
    assert found.seats == {faulty: -1.5, other: 0.5}
    assert found.reason == f"illegal: {reason}"
    dear = verdict(moves(texts), config=GameConfig(illegal=-3, spared=0))
    assert dear.seats == {faulty: -3.0, other: 0.0}


def test_the_reward_is_that_of_the_seat_which_learns() -> None:
    assert verdict(moves("bb", learns=["second"])).reward == -2.0
    assert verdict(moves("bb", learns=["first"])).reward == 2.0
    assert verdict(moves("bb", learns=[])).reward == 2.0


def test_a_game_that_did_not_end_is_not_known() -> None:
    found = verdict(moves("pb"))
    assert (found.known, found.seats, found.reason) == (False, {}, "unfinished")


def test_seats_are_combined_by_the_rule_of_the_whole() -> None:
    half = Verdict(scores={"half": 0.5}, reward=0.5, reason="half", provenance="half")
    game = verdict(moves("bb"))
    found = Combined([], "product").one((half, game))
    assert (found.reward, found.seats) == (1.0, {"first": 1.0, "second": -1.0})
    assert Combined([], "sum").one((half, game)).seats == {"first": 1.25, "second": -0.75}
    assert Combined([], "first").one((half, game)).seats == {"first": 0.5, "second": 0.5}
