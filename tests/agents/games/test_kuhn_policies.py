"""What policies of Kuhn poker are worth: the equilibria, known values, and best replies that no
other reply beats."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.games.kuhn import BET, Seat, Seen, information_sets
from agents.games.kuhn_policies import (
    GAME_VALUE,
    best_reply,
    equilibrium,
    exploitability,
    policy_of,
    value,
)

SETS = list(information_sets())
CHANCES = st.fractions(min_value=0, max_value=1, max_denominator=12)
TABLES = st.lists(CHANCES, min_size=12, max_size=12).map(
    lambda chances: dict(zip(SETS, chances, strict=True))
)
ALPHAS = [Fraction(0), Fraction(1, 12), Fraction(1, 6), Fraction(2, 7), Fraction(1, 3)]


def won_at(seat: Seat, own: dict[Seen, Fraction], other: dict[Seen, Fraction]) -> Fraction:
    return value(own, other) if seat == 0 else -value(other, own)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_equilibria_cannot_be_exploited_and_are_worth_the_game(alpha: Fraction) -> None:
    table = equilibrium(alpha)
    assert exploitability(table) == 0
    assert value(table, table) == GAME_VALUE == Fraction(-1, 18)
    assert best_reply(table, 0)[0] == Fraction(-1, 18)
    assert best_reply(table, 1)[0] == Fraction(1, 18)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("other", ALPHAS)
def test_equilibria_of_different_bluffs_go_together(alpha: Fraction, other: Fraction) -> None:
    assert value(equilibrium(alpha), equilibrium(other)) == GAME_VALUE


@pytest.mark.parametrize(
    ("bet", "first", "second"),
    [
        (1, Fraction(1, 3), Fraction(1, 3)),
        (0, Fraction(1), Fraction(1)),
        (Fraction(1, 2), Fraction(1, 2), Fraction(5, 12)),
    ],
    ids=["always bet", "always pass", "at random"],
)
def test_simple_policies_lose_what_is_known(bet: int, first: Fraction, second: Fraction) -> None:
    table = policy_of(lambda seen: bet)
    assert best_reply(table, 0)[0] == first
    assert best_reply(table, 1)[0] == second
    assert exploitability(table) == (first + second) / 2


def test_a_little_off_the_equilibrium_is_exploited() -> None:
    for seen in SETS:
        table = equilibrium(Fraction(1, 6))
        off = Fraction(1, 100) if table[seen] < 1 else -Fraction(1, 100)
        assert exploitability({**table, seen: table[seen] + off}) > 0, seen


@settings(deadline=None, max_examples=25)
@given(table=TABLES, seat=st.sampled_from((0, 1)))
def test_a_best_reply_wins_what_the_best_of_all_pure_replies_wins(
    table: dict[Seen, Fraction], seat: Seat
) -> None:
    best, moves = best_reply(table, seat)
    own = list(information_sets(seat))
    pure = [
        won_at(seat, {**table, **dict(zip(own, map(Fraction, bets), strict=True))}, table)
        for bets in product((0, 1), repeat=len(own))
    ]
    assert best == max(pure)
    assert set(moves) == set(own)
    reply = {seen: Fraction(move == BET) for seen, move in moves.items()}
    assert won_at(seat, {**table, **reply}, table) == best


@settings(deadline=None)
@given(table=TABLES, other=TABLES)
def test_exploitability_is_never_negative_and_bounds_every_loss(
    table: dict[Seen, Fraction], other: dict[Seen, Fraction]
) -> None:
    assert exploitability(table) >= 0
    assert best_reply(table, 0)[0] >= value(other, table)
    assert best_reply(table, 1)[0] >= -value(table, other)
    assert -2 <= value(table, other) <= 2


def test_the_value_is_that_of_playing_out_every_game() -> None:
    table = policy_of(lambda seen: Fraction(1 + seen.card, 4))
    assert value(table, table) == -value_to_second(table)


def value_to_second(table: dict[Seen, Fraction]) -> Fraction:
    """Written out by hand over the five ends of each deal."""
    total = Fraction(0)
    for first, second in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
        sign = 1 if second > first else -1
        opens, calls = table[Seen(first, "")], table[Seen(first, "pb")]
        raises, follows = table[Seen(second, "p")], table[Seen(second, "b")]
        total += (1 - opens) * ((1 - raises) * sign + raises * ((1 - calls) + calls * 2 * sign))
        total += opens * (-(1 - follows) + follows * 2 * sign)
    return total / 6


@pytest.mark.parametrize("alpha", [Fraction(-1, 9), Fraction(2, 5)])
def test_there_is_no_equilibrium_of_other_bluffs(alpha: Fraction) -> None:
    with pytest.raises(ValueError, match="alpha is from 0 to 1/3"):
        equilibrium(alpha)


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"probability 1\.5"):
        policy_of(lambda seen: 1.5)
