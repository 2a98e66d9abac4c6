"""Kuhn poker (Kuhn 1950): three cards, a card each, one bet. Knows no text and no policy.

Both players ante 1 and get one of the cards 0 < 1 < 2. In turn they pass or bet 1 more:

    pass, pass          the higher card wins 1
    pass, bet, pass     the second player wins 1
    pass, bet, bet      the higher card wins 2
    bet, pass           the first player wins 1
    bet, bet            the higher card wins 2
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Literal

from agents.games.game import IllegalMove

Move = Literal["p", "b"]
Seat = Literal[0, 1]

CARDS = (0, 1, 2)
PASS: Move = "p"
BET: Move = "b"
MOVES: tuple[Move, ...] = (PASS, BET)
HISTORIES = ("", "p", "b", "pb")
"""All after which somebody is to move."""

_ENDS = ("pp", "pbp", "pbb", "bp", "bb")


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """What the player who is to move knows: an information set."""

    card: int
    history: str

    @property
    def seat(self) -> Seat:
        return seat_after(self.history)


@dataclass(frozen=True, slots=True)
class State:
    """`cards` of the first and the second player, and the moves so far."""

    cards: tuple[int, int]
    history: str = ""

    @property
    def is_over(self) -> bool:
        return self.history in _ENDS

    @property
    def seat(self) -> Seat:
        """Who is to move. Raises `IllegalMove` when the game is over."""
        self._expect_open()
        return seat_after(self.history)

    @property
    def legal_moves(self) -> tuple[Move, ...]:
        return () if self.is_over else MOVES

    @property
    def seen(self) -> Seen:
        """What the player who is to move knows. Raises `IllegalMove` when the game is over."""
        return Seen(self.cards[self.seat], self.history)

    @property
    def payoffs(self) -> tuple[int, int]:
        """What each player won; raises `IllegalMove` before the end."""
        if not self.is_over:
            raise IllegalMove("the game is not over")
        stake = 2 if self.history.endswith("bb") else 1
        first_wins = self.cards[0] > self.cards[1]
        if self.history.endswith("bp"):
            first_wins = self.history == "bp"
        return (stake, -stake) if first_wins else (-stake, stake)

    def play(self, move: str) -> "State":
        """The state after `move`; raises `IllegalMove`."""
        self._expect_open()
        if move not in MOVES:
            raise IllegalMove(f"there are the moves {' and '.join(MOVES)}, not {move[:20]!r}")
        return State(self.cards, self.history + move)

    def _expect_open(self) -> None:
        if self.is_over:
            raise IllegalMove("the game is over")


def seat_after(history: str) -> Seat:
    return 1 if len(history) == 1 else 0


def deals() -> tuple[State, ...]:
    """All six, each as likely as any other."""
    return tuple(State(cards) for cards in permutations(CARDS, 2))


def deal(random: Random) -> State:
    return random.choice(deals())


def information_sets(seat: Seat | None = None) -> Iterator[Seen]:
    """The twelve of both players, or the six of one."""
    for history in HISTORIES:
        if seat in (None, seat_after(history)):
            yield from (Seen(card, history) for card in CARDS)


def dominant(seen: Seen) -> Move | None:
    """The move that wins no less than the other whatever the other player holds and does; None
    where there is no such move."""
    for move, other in (MOVES, MOVES[::-1]):
        if all(
            min(_outcomes(state.play(move), seen.seat))
            >= max(_outcomes(state.play(other), seen.seat))
            for state in states_of(seen)
        ):
            return move
    return None


def states_of(seen: Seen) -> tuple[State, ...]:
    """Those that look so to the player who is to move."""
    others = [card for card in CARDS if card != seen.card]
    pairs = [(seen.card, card) if seen.seat == 0 else (card, seen.card) for card in others]
    return tuple(State(cards, seen.history) for cards in pairs)


def _outcomes(state: State, seat: Seat) -> Iterator[int]:
    """What a player may win from here, whatever is played."""
    if state.is_over:
        yield state.payoffs[seat]
    for move in state.legal_moves:
        yield from _outcomes(state.play(move), seat)
