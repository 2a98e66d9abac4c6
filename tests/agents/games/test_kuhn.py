"""The rules of Kuhn poker, and its text."""

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.games.game import IllegalMove
from agents.games.kuhn import (
    CARDS,
    HISTORIES,
    MOVES,
    Seen,
    State,
    deal,
    deals,
    dominant,
    information_sets,
    states_of,
)
from agents.games.kuhn_text import NotASight, move_in, prompt_of, seen_in


@pytest.mark.parametrize(
    ("moves", "higher_first", "lower_first"),
    [("pp", 1, -1), ("pbp", -1, -1), ("pbb", 2, -2), ("bp", 1, 1), ("bb", 2, -2)],
)
def test_every_end_pays_what_the_rules_say(moves: str, higher_first: int, lower_first: int) -> None:
    for start in deals():
        state = start
        for move in moves:
            assert (state.is_over, state.legal_moves) == (False, MOVES)
            state = state.play(move)
        first = higher_first if state.cards[0] > state.cards[1] else lower_first
        assert (state.is_over, state.legal_moves) == (True, ())
        assert state.payoffs == (first, -first)


def test_every_game_ends_within_three_moves() -> None:
    for cards, moves in product(deals(), product(MOVES, repeat=3)):
        state = cards
        for move in moves:
            state = state if state.is_over else state.play(move)
        assert state.is_over


def test_players_move_in_turn_and_see_their_own_card_alone() -> None:
    state = State((2, 0))
    assert (state.seat, state.seen) == (0, Seen(2, ""))
    state = state.play("p")
    assert (state.seat, state.seen) == (1, Seen(0, "p"))
    state = state.play("b")
    assert (state.seat, state.seen) == (0, Seen(2, "pb"))


def test_there_are_six_deals_and_twelve_information_sets() -> None:
    assert len({start.cards for start in deals()}) == 6
    assert {deal(Random(seed)) for seed in range(200)} == set(deals())
    assert len(set(information_sets())) == 12
    assert set(information_sets(0)) == {Seen(card, past) for card in CARDS for past in ("", "pb")}
    assert set(information_sets(1)) == {Seen(card, past) for card in CARDS for past in ("p", "b")}


@pytest.mark.parametrize("move", ["", "x", "pp", "P", "p" * 10_000, "\u0440"])
def test_other_moves_are_illegal(move: str) -> None:
    with pytest.raises(IllegalMove, match="there are the moves p and b"):
        State((0, 1)).play(move)


def test_nobody_moves_after_the_end_and_nobody_is_paid_before() -> None:
    over = State((0, 1), "bb")
    for late in (lambda: over.play("p"), lambda: over.seat, lambda: over.seen):
        with pytest.raises(IllegalMove, match="is over"):
            late()
    for history in HISTORIES:
        with pytest.raises(IllegalMove, match="not over"):
            _ = State((0, 1), history).payoffs


def test_what_is_seen_can_be_shown_and_read() -> None:
    assert prompt_of(Seen(1, "pb")) == "kqpb>"
    prompts = [prompt_of(seen) for seen in information_sets()]
    assert len(set(prompts)) == 12
    assert [seen_in(prompt) for prompt in prompts] == list(information_sets())


@given(st.text(max_size=8) | st.text("kjqpb>", max_size=8))
def test_any_text_shows_something_or_is_refused(text: str) -> None:
    try:
        seen = seen_in(text)
    except NotASight:
        assert text not in {prompt_of(seen) for seen in information_sets()}
    else:
        assert prompt_of(seen) == text


@pytest.mark.parametrize(
    ("answer", "ended", "reason"),
    [
        ("p", False, "not ended"),
        ("", True, "empty"),
        ("pb", True, "no move"),
        ("b ", True, "no move"),
        ("b" * 100_000, True, "no move"),
        ("\u0440", True, "no move"),
    ],
)
def test_what_is_no_move_is_refused_with_its_reason(answer: str, ended: bool, reason: str) -> None:
    assert [move_in(move, ended=True) for move in MOVES] == list(MOVES)
    with pytest.raises(IllegalMove, match=f"^{reason}$"):
        move_in(answer, ended)


def test_a_dominant_move_is_never_regretted_and_others_may_be() -> None:
    found = {prompt_of(seen): dominant(seen) for seen in information_sets()}
    assert {prompt: move for prompt, move in found.items() if move} == {
        "kkp>": "b",
        "kjb>": "p",
        "kkb>": "b",
        "kjpb>": "p",
        "kkpb>": "b",
    }


def test_a_player_cannot_tell_the_states_of_what_is_seen_apart() -> None:
    for seen in information_sets():
        states = states_of(seen)
        assert [state.seen for state in states] == [seen, seen]
        assert len(set(states)) == 2
