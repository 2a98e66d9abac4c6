"""Policies of Kuhn poker as tables: what they are worth, the best reply to them, and how far they
are from equilibrium. All figures are exact fractions. Knows no model."""

from collections.abc import Callable, Mapping
from fractions import Fraction

from agents.games.kuhn import BET, CARDS, MOVES, Move, Seat, Seen, State, deals, information_sets

Policy = Mapping[Seen, Fraction]
"""How likely a bet is in each information set; of both seats, or of one where one is asked for."""

GAME_VALUE = Fraction(-1, 18)
"""What the first player wins when both play an equilibrium."""


def policy_of(bet: Callable[[Seen], float | Fraction]) -> dict[Seen, Fraction]:
    """The table of what a policy says. Raises `ValueError` for what is no probability."""
    table = {seen: Fraction(bet(seen)) for seen in information_sets()}
    if wrong := [seen for seen, chance in table.items() if not 0 <= chance <= 1]:
        raise ValueError(f"a bet at {wrong[0]} has the probability {float(table[wrong[0]])}")
    return table


def equilibrium(alpha: Fraction = Fraction(0)) -> dict[Seen, Fraction]:
    """One of the equilibria, which are all of this form (Kuhn 1950): the first player bluffs with
    the lowest card `alpha` of the time. Raises `ValueError` outside 0 to 1/3."""
    third, never, always = Fraction(1, 3), Fraction(0), Fraction(1)
    if not 0 <= alpha <= third:
        raise ValueError(f"alpha is from 0 to 1/3, not {alpha}")
    bets = {
        "": (alpha, never, 3 * alpha),
        "p": (third, never, always),
        "b": (never, third, always),
        "pb": (never, alpha + third, always),
    }
    return policy_of(lambda seen: bets[seen.history][seen.card])


def value(first: Policy, second: Policy) -> Fraction:
    """What the first player wins on average."""
    states = deals()
    return sum((_value(state, (first, second)) for state in states), Fraction(0)) / len(states)


def best_reply(policy: Policy, seat: Seat) -> tuple[Fraction, dict[Seen, Move]]:
    """What a player at `seat` wins at most on average against `policy` at the other one, and the
    moves that win it."""
    moves: dict[Seen, Move] = {}
    total = Fraction(0)
    for card in CARDS:
        others = {other: Fraction(1, 6) for other in CARDS if other != card}
        total += _best(policy, seat, Seen(card, ""), others, moves)
    return total, moves


def exploitability(policy: Policy) -> Fraction:
    """What best replies win against `policy`, on the mean of both seats; 0 at an equilibrium and
    nowhere else."""
    return (best_reply(policy, 0)[0] + best_reply(policy, 1)[0]) / 2


def _value(state: State, policies: tuple[Policy, Policy]) -> Fraction:
    if state.is_over:
        return Fraction(state.payoffs[0])
    policy = policies[state.seat]
    return sum(
        (_chance(policy, state.seen, move) * _value(state.play(move), policies) for move in MOVES),
        Fraction(0),
    )


def _best(
    policy: Policy,
    seat: Seat,
    own: Seen,
    others: Mapping[int, Fraction],
    moves: dict[Seen, Move],
) -> Fraction:
    """Over all cards of the other player, each with the chance that it is there and played so."""
    states = {other: State(_in_seats(seat, own.card, other), own.history) for other in others}
    if all(state.is_over for state in states.values()):
        wins = (others[other] * state.payoffs[seat] for other, state in states.items())
        return sum(wins, Fraction(0))
    worth: dict[Move, Fraction] = {}
    for move in MOVES:
        played = others
        if own.seat != seat:
            played = {
                other: chance * _chance(policy, Seen(other, own.history), move)
                for other, chance in others.items()
            }
        worth[move] = _best(policy, seat, Seen(own.card, own.history + move), played, moves)
    if own.seat != seat:
        return sum(worth.values(), Fraction(0))
    moves[own] = max(MOVES, key=lambda move: worth[move])
    return worth[moves[own]]


def _chance(policy: Policy, seen: Seen, move: Move) -> Fraction:
    return policy[seen] if move == BET else 1 - policy[seen]


def _in_seats(seat: Seat, own: int, other: int) -> tuple[int, int]:
    return (own, other) if seat == 0 else (other, own)
