"""Seats with rewards of their own, and the running mean that each of them is held against."""

from collections.abc import Mapping, Sequence
from random import Random
from statistics import fmean, pstdev

import pytest

from bus.events import Judgment
from tests.trainer.lessons import PARTS, batch, judgment
from tests.trainer.updates.test_policy_gradient import seated
from trainer.replay import Replay
from trainer.updates.advantage import advantages, against_running_means
from trainer.updates.grpo import GrpoConfig

WINS = [1.0, -2.0, 1.0, 1.0, -1.0, 2.0]


def game(index: int, firsts: Sequence[float], family: str = "kuhn") -> Judgment:
    """A game of three turns for each of what the first seat won of it."""
    judged = seated(judgment(index, firsts), ["first", "second", "first"], family)
    verdicts = tuple(
        verdict.model_copy(update={"seats": {"first": won, "second": -won}})
        for verdict, won in zip(judged.verdicts, firsts, strict=True)
    )
    return judged.model_copy(update={"verdicts": verdicts})


def found(
    judgments: Sequence[Judgment], means: dict[str, float], decay: float = 0.95
) -> list[tuple[str, float]]:
    return [
        (turn.seat, advantage)
        for _, turn, advantage in against_running_means(judgments, means, decay)
    ]


def by_hand(wins: Sequence[float], decay: float) -> list[tuple[str, float]]:
    first = second = 0.0
    expected = []
    for won in wins:
        expected += [("first", won - first), ("second", -won - second), ("first", won - first)]
        first = decay * first + (1 - decay) * won
        second = decay * second - (1 - decay) * won
    return expected


@pytest.mark.parametrize("decay", [0.95, 0.5, 0.0])
def test_each_seat_is_held_against_its_own_mean_read_before_it_moves(decay: float) -> None:
    games = [game(0, WINS[:2]), game(1, WINS[2:])]
    held, expected = found(games, {}, decay), [each for each in by_hand(WINS, decay) if each[1]]
    assert [seat for seat, _ in held] == [seat for seat, _ in expected]
    assert [each for _, each in held] == pytest.approx([each for _, each in expected])


def test_what_is_worth_the_mean_teaches_nothing() -> None:
    means = {"role/kuhn/first": 1.0, "role/kuhn/second": 0.0}
    assert {seat for seat, _ in found([game(0, [1.0])], means)} == {"second"}
    assert found([game(0, [0.0, 0.0])], {}) == []


def test_another_game_has_means_of_its_own() -> None:
    means: dict[str, float] = {}
    found([game(0, [1.0]), game(1, [2.0], family="nim")], means, 0.5)
    assert means == {
        "role/kuhn/first": 0.5,
        "role/kuhn/second": -0.5,
        "role/nim/first": 1.0,
        "role/nim/second": -1.0,
    }


def test_what_a_judge_cannot_tell_moves_no_mean() -> None:
    judged = game(0, [1.0])
    [verdict] = judged.verdicts
    unknown = judged.model_copy(update={"verdicts": (verdict.model_copy(update={"known": False}),)})
    means: dict[str, float] = {}
    assert found([unknown], means) == []
    assert means == {}


def test_means_go_on_over_a_restart_exactly() -> None:
    """What is learned of two batches is the same with all that was kept written out between."""
    update = GrpoConfig(baseline="role_ema").build(PARTS)
    batches = [batch([game(0, WINS[:3])]), batch([game(1, WINS[3:])])]

    def rows(replay: Replay, *of: int) -> list[Mapping[tuple[int, ...], float]]:
        return [
            {row.completion: row.weight for row in step}
            for index in of
            for step in update.steps(batches[index], replay, Random(1))
        ]

    whole = Replay(4)
    before = rows(whole, 0, 1)
    one, other = Replay(4), Replay(4)
    begun = rows(one, 0)
    other.restore(one.state())
    assert begun + rows(other, 1) == before
    assert other.rates == whole.rates and whole.rates


def test_within_a_group_a_seat_is_held_against_its_like() -> None:
    games = [game(0, WINS)]
    held = [(turn.seat, advantage) for _, turn, advantage in advantages(games, "group")]
    for seat, sign in (("first", 1), ("second", -1)):
        mean, deviation = fmean(sign * won for won in WINS), pstdev(WINS)
        expected = [(sign * won - mean) / (deviation + 1e-4) for won in WINS]
        each = [advantage for one, advantage in held if one == seat]
        assert each[:: 2 if seat == "first" else 1] == pytest.approx(expected)


def test_a_role_counts_the_rewards_of_its_seat() -> None:
    games = [game(0, WINS[:3]), game(1, WINS[3:])]
    held = [advantage for _, turn, advantage in advantages(games, "role") if turn.seat == "second"]
    expected = [(fmean(WINS) - won) / (pstdev(WINS) + 1e-4) for won in WINS]
    assert held == pytest.approx(expected)
