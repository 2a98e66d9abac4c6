"""The micro-language: a program is a word of operations, one letter each, run from left to right.
Knows no task.

A value is a string of digits, which may be empty. List operations take it digit by digit, number
operations as one number: `rs` on `3142` reverses it and sorts it, `1234`; `ja` adds one to the
number, 3143, and rotates it, `1433`. The language is total: every word of operations has a value on
every string of digits, in as many steps as it has letters, and no value is longer than `MAX_VALUE`.
"""

from collections.abc import Callable
from itertools import pairwise

from agents.domains.strings import DIGITS

MAX_VALUE = 64
"""Digits of the longest value; what would be longer is cut behind them."""

MAX_PROGRAM = 9
"""Operations of the longest program that is read."""

Operation = Callable[[str], str]


def _each(change: Callable[[int], int]) -> Operation:
    """Change every digit on its own, modulo 10."""
    table = str.maketrans({digit: str(change(int(digit)) % 10) for digit in DIGITS})
    return lambda value: value.translate(table)


def _only(keep: Callable[[int], bool]) -> Operation:
    kept = {digit for digit in DIGITS if keep(int(digit))}
    return lambda value: "".join(digit for digit in value if digit in kept)


def _number(change: Callable[[int], int]) -> Operation:
    """Change the number that the digits write; no digits are 0. As many zeros stay in front as it
    takes for the number of digits not to shrink."""
    return lambda value: str(change(int(value or "0"))).zfill(len(value))


def _running_sums(value: str) -> str:
    total, sums = 0, []
    for digit in value:
        total = (total + int(digit)) % 10
        sums.append(str(total))
    return "".join(sums)


def _steps(value: str) -> str:
    """From each digit to the next, modulo 10."""
    return "".join(str((int(after) - int(before)) % 10) for before, after in pairwise(value))


OPERATIONS: dict[str, tuple[str, Operation]] = {
    "r": ("reverse", lambda value: value[::-1]),
    "s": ("sort, the least digit first", lambda value: "".join(sorted(value))),
    "u": ("drop every digit that was there before", lambda value: "".join(dict.fromkeys(value))),
    "a": ("rotate: the first digit goes to the end", lambda value: value[1:] + value[:1]),
    "h": ("the first digit alone", lambda value: value[:1]),
    "t": ("all but the first digit", lambda value: value[1:]),
    "l": ("the last digit alone", lambda value: value[-1:]),
    "i": ("all but the last digit", lambda value: value[:-1]),
    "e": ("the even digits", _only(lambda digit: digit % 2 == 0)),
    "o": ("the odd digits", _only(lambda digit: digit % 2 == 1)),
    "d": ("the digits twice", lambda value: value + value),
    "m": ("the digits and their mirror image", lambda value: value + value[::-1]),
    "n": ("the next digit for each, 0 for 9", _each(lambda digit: digit + 1)),
    "c": ("9 less each digit", _each(lambda digit: 9 - digit)),
    "b": ("twice each digit, modulo 10", _each(lambda digit: 2 * digit)),
    "p": ("running sums of the digits, modulo 10", _running_sums),
    "f": ("steps from digit to digit, modulo 10", _steps),
    "g": ("the greatest digit", lambda value: max(value, default="")),
    "k": ("the number of digits", lambda value: str(len(value))),
    "q": ("the sum of the digits", lambda value: str(sum(map(int, value)))),
    "j": ("the number and 1", _number(lambda number: number + 1)),
    "w": ("twice the number", _number(lambda number: 2 * number)),
    "v": ("half the number, rounded down", _number(lambda number: number // 2)),
}
"""What each letter says, and does to a value."""


def is_program(text: str) -> bool:
    """Whether a text is a program: a word of 1 to `MAX_PROGRAM` operations."""
    return 0 < len(text) <= MAX_PROGRAM and all(letter in OPERATIONS for letter in text)


def run(program: str, value: str) -> str:
    """What a program makes of a value. Both must be well-formed."""
    for letter in program:
        value = OPERATIONS[letter][1](value)[:MAX_VALUE]
    return value


def in_words(program: str) -> str:
    """What a program does, for people."""
    return ", then ".join(OPERATIONS[letter][0] for letter in program)
