"""The interpreter agrees with an evaluation of its own kind, and is total."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domains.programs.language import MAX_VALUE, OPERATIONS, in_words, is_program, run
from agents.domains.programs.validity import is_trivial
from tests.agents.domains.programs.reference import evaluate

LETTERS = "".join(OPERATIONS)
VALUES = ("", "0", "7", "00", "10", "99", "3142", "90909", "55555", "0123456789", "98765432109876")
PROGRAMS = st.text(LETTERS, max_size=40)
DIGITS = st.text("0123456789", max_size=MAX_VALUE)


def test_every_short_program_gives_what_the_reference_gives() -> None:
    for letters in (*product(LETTERS, repeat=1), *product(LETTERS, repeat=2)):
        for value in VALUES:
            program = "".join(letters)
            assert run(program, value) == evaluate(program, value), (program, value)


@given(program=PROGRAMS, value=DIGITS)
def test_any_program_gives_what_the_reference_gives(program: str, value: str) -> None:
    assert run(program, value) == evaluate(program, value)


@given(program=PROGRAMS, value=DIGITS)
def test_every_value_is_digits_and_no_longer_than_the_limit(program: str, value: str) -> None:
    result = run(program, value)
    assert len(result) <= MAX_VALUE
    assert set(result) <= set("0123456789")


@given(first=PROGRAMS, second=PROGRAMS, value=DIGITS)
def test_programs_run_from_left_to_right(first: str, second: str, value: str) -> None:
    assert run(first + second, value) == run(second, run(first, value))


@pytest.mark.parametrize(
    ("program", "value", "result"),
    [
        ("rs", "3142", "1234"),
        ("ja", "3142", "1433"),
        ("j", "0099", "0100"),
        ("j", "99", "100"),
        ("w", "072", "144"),
        ("v", "101", "050"),
        ("q", "999", "27"),
        ("k", "", "0"),
        ("gg", "", ""),
        ("ddddd", "123", "123" * 21 + "1"),
    ],
)
def test_examples(program: str, value: str, result: str) -> None:
    assert run(program, value) == result


def test_operations_differ_and_none_is_trivial() -> None:
    effects = {tuple(run(letter, value) for value in VALUES) for letter in LETTERS}
    assert len(effects) == len(LETTERS)
    assert not [letter for letter in LETTERS if is_trivial(letter)]


@pytest.mark.parametrize("program", ["rr", "ss", "susu", "hk", "rs", "n" * 10, "cc", "eo"])
def test_programs_that_do_nothing_of_their_own_are_trivial(program: str) -> None:
    assert is_trivial(program)


def test_what_is_called_trivial_is_so_on_every_short_value() -> None:
    values = [
        "".join(value) for count in (1, 2, 3) for value in product("0123456789", repeat=count)
    ]
    for letters in product("rsuahtgkq", repeat=2):
        program = "".join(letters)
        effects = {tuple(run(part, value) for value in values) for part in ("", *program)}
        outputs = tuple(run(program, value) for value in values)
        assert is_trivial(program) == (outputs in effects or len(set(outputs)) == 1), program


@pytest.mark.parametrize("text", ["", "x", "R", "r s", "r\n", "r" * 10, "\u0433", "r1", "r\x00"])
def test_what_is_no_program(text: str) -> None:
    assert not is_program(text)


def test_a_program_is_told_in_words() -> None:
    assert in_words("rn") == "reverse, then the next digit for each, 0 for 9"
