"""The cursor: its arithmetic against a plain set, and its text form against damage."""

import time
from base64 import b85encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.cursor import MAGIC, Cursor

offsets = st.lists(st.integers(0, 60) | st.integers(0, 5000), max_size=40)
batches = st.lists(offsets, max_size=12)


def advanced(start: int, steps: list[list[int]]) -> Cursor:
    cursor = Cursor(start)
    for step in steps:
        cursor = cursor.advance(step)
    return cursor


@given(st.integers(0, 50), batches)
def test_agrees_with_a_plain_set(start: int, steps: list[list[int]]) -> None:
    cursor = advanced(start, steps)
    done = set(range(start)).union(*steps) if steps else set(range(start))
    base = next(offset for offset in range(start, 6000) if offset not in done)
    beyond = {offset for offset in done if offset > base}
    assert (cursor.base, cursor.done, cursor.num_done) == (
        base,
        frozenset(beyond),
        len(beyond),
    )
    for offset in [*range(70), *beyond, *(offset + 1 for offset in beyond)]:
        assert cursor.is_done(offset) == (offset in done)
        assert cursor.first_open(offset) == next(
            candidate for candidate in range(offset, 7000) if candidate not in done
        )


@given(batches)
def test_runs_are_sorted_apart_and_beyond_the_base(steps: list[list[int]]) -> None:
    cursor = advanced(0, steps)
    edge = cursor.base
    for start, end in cursor.runs:
        assert edge < start < end
        edge = end


@given(batches, st.randoms(use_true_random=False))
def test_the_order_of_completion_does_not_matter(steps: list[list[int]], random: object) -> None:
    flat = [offset for step in steps for offset in step]
    one_by_one = advanced(0, [[offset] for offset in reversed(flat)])
    assert one_by_one == Cursor().advance(flat) == advanced(0, steps)


@given(st.integers(0, 10**12), batches)
def test_text_form_round_trips(base: int, steps: list[list[int]]) -> None:
    cursor = Cursor(base).advance(base + offset for step in steps for offset in step)
    assert Cursor.decode(cursor.encode(), cursor.base) == cursor


@given(st.sets(st.integers(1, 30_000), min_size=1, max_size=3000))
def test_wide_windows_round_trip(done: set[int]) -> None:
    cursor = Cursor(7).advance(7 + offset for offset in done)
    assert Cursor.decode(cursor.encode(), cursor.base) == cursor


@given(st.binary(max_size=60))
def test_a_damaged_text_is_refused_or_read_strictly(body: bytes) -> None:
    text = b85encode(bytes([MAGIC]) + b"R" + body).decode()
    try:
        cursor = Cursor.decode(text, 5)
    except ValueError:
        return
    assert cursor.base == 5
    assert Cursor.decode(cursor.encode(), 5) == cursor


@given(st.text(max_size=30))
def test_a_text_of_another_make_repeats_work(text: str) -> None:
    assert Cursor.decode(text, 3).base == 3


@pytest.mark.parametrize("text", ["", "hello", "é", b85encode(b"\x01R\x05\x01\x05").decode()])
def test_an_unknown_magic_is_an_empty_set(text: str) -> None:
    assert Cursor.decode(text, 3) == Cursor(3)


def test_a_text_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        Cursor.decode(b85encode(bytes([MAGIC]) + b"B\x01\x01").decode())


def test_a_run_length_that_goes_past_the_highest_is_refused() -> None:
    text = b85encode(bytes([MAGIC]) + b"R" + b"\x05" + b"\x01\xff\xff\xff\xff\x7f").decode()
    with pytest.raises(ValueError, match="run"):
        Cursor.decode(text)


def test_a_million_offsets_mostly_in_order_cost_little() -> None:
    cursor, straggler, started = Cursor(), 0, time.process_time()
    for batch in range(1, 1_000_000, 20):
        cursor = cursor.advance(range(batch, batch + 20))
        if batch % 2000 == 1:
            cursor = cursor.advance([straggler])
            straggler = cursor.base
    assert cursor.base > 990_000
    assert time.process_time() - started < 10
