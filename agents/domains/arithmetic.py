"""Add, subtract, multiply by one digit, or copy numbers that are written from their last digit on;
the number of digits is the level. Knows no model and no run.

One real task, family `add`, level 4: the model reads `8362+5710>`, which is 2638 + 175, and must
write `31820`, which is 2813 with its carry 0, and end. So written, every digit of an answer follows
from what stands at its own place and a carry (Lee et al. 2025, arXiv 2502.01612). All zeros are
written, so that the level alone says how long an answer is. In the layout "interleaved" the model
reads `+85376120>` instead: the digits of a place side by side.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Literal

from pydantic import Field, model_validator

from agents.domains.domain import NotATask, Problem, Score
from agents.domains.strings import DIGITS, MARK, draw_digits
from agents.domains.suites import Suites, check_digits_left, check_levels
from agents.parts import PartConfig, Parts

Family = Literal["add", "subtract", "multiply", "copy"]
Level = Annotated[int, Field(ge=1, le=60)]
Layout = Literal["plain", "interleaved"]
"""How a sum or a difference is written: one number after the other, or digit by digit. Products and
copies are written alike in both."""

MAX_DIGITS = 60
_FACTORS = DIGITS[2:]
_TEXT = re.compile(rf"([0-9]{{1,{MAX_DIGITS}}})(?:([-+*=])([0-9]{{0,{MAX_DIGITS}}}))?")
_INTERLEAVED = re.compile(rf"([-+])((?:[0-9]{{2}}){{1,{MAX_DIGITS}}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    """`answer` of two operands; `digits` of an answer of a level, above the level's own."""

    sign: str
    words: str
    answer: Callable[[int, int], int]
    more_digits: int


OPERATIONS: dict[str, _Operation] = {
    "add": _Operation(sign="+", words="{a} + {b}", answer=lambda a, b: a + b, more_digits=1),
    "subtract": _Operation(sign="-", words="{a} - {b}", answer=lambda a, b: a - b, more_digits=0),
    "multiply": _Operation(sign="*", words="{a} * {b}", answer=lambda a, b: a * b, more_digits=1),
    "copy": _Operation(sign="=", words="{a}, copied", answer=lambda a, b: a, more_digits=0),
}


class ArithmeticConfig(PartConfig):
    """Which tasks, up to how many digits, and how two numbers are laid out. Below `held_out_from`
    there are too few problems to keep any back; from it on, those of the held-out suite are refused
    everywhere."""

    type: Literal["arithmetic"] = "arithmetic"
    families: tuple[Family, ...] = Field(default=("add",), min_length=1)
    layout: Layout = "plain"
    warmup_levels: tuple[Level, ...] = tuple(range(1, 11))
    levels: tuple[Level, ...] = Field(default=tuple(range(1, 21)), min_length=1)
    held_out_from: int = Field(default=4, ge=1)
    held_out_per_level: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> "ArithmeticConfig":
        check_levels(self.levels, warmup_levels=self.warmup_levels)
        check_digits_left(self.levels, self.held_out_from, self.held_out_per_level, "numbers")
        return self

    def build(self, parts: Parts | None = None) -> "Arithmetic":
        return Arithmetic(self)


class Arithmetic:
    """The `Domain` of numbers that are written from their last digit on."""

    name = "arithmetic"

    def __init__(self, config: ArithmeticConfig) -> None:
        self._config = config
        self._suites = Suites(
            "arithmetic", self._draw, config.held_out_per_level, config.held_out_from
        )

    @property
    def families(self) -> Sequence[str]:
        return self._config.families

    @property
    def warmup_levels(self) -> Sequence[int]:
        return self._config.warmup_levels

    @property
    def levels(self) -> Sequence[int]:
        return self._config.levels

    def make(self, family: str, level: int, random: Random) -> Problem:
        """A new problem, never a held-out one."""
        return self._suites.make(family, level, random)

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The first `count` of the suite; short levels have fewer problems than that."""
        return self._suites.first(family, level, count)

    def read(self, text: str) -> Problem:
        """The problem that a model wrote as `8362+5710`, or in the layout of the recipe; raises
        `NotATask`."""
        family, first, second = _parsed(_plain(text))
        problem = make_problem(family, first, second, self._config.layout)
        if self.write(problem) != text:
            raise NotATask("unparseable")
        if family not in self.families:
            raise NotATask("unknown family")
        if len(first) not in self.levels:
            raise NotATask("out of range")
        if self._suites.hold(problem):
            raise NotATask("held-out")
        return problem

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`."""
        return problem.prompt.removesuffix(MARK)

    def pose(self, question: str, family: str | None = None) -> Problem:
        """The user's own numbers, last digit first, as `8362+571`: the shorter of two is filled up
        with zeros. A single number is copied."""
        text = _plain(question.strip().removesuffix(MARK))
        found = _TEXT.fullmatch(text)
        first, sign, second = found.groups(default="") if found else ("", "", "")
        if sign in ("+", "-"):
            width = max(len(first), len(second))
            first, second = first.ljust(width, "0"), second.ljust(width, "0")
        try:
            chosen, first, second = _parsed(first + (sign or OPERATIONS["copy"].sign) + second)
        except NotATask:
            raise NotATask(
                f"{question[:MAX_DIGITS]!r} cannot be worked out: ask for something like "
                f"8362+5710, numbers of 1 to {MAX_DIGITS} digits that begin with their last one"
            ) from None
        if family not in (None, chosen) or chosen not in self.families:
            raise NotATask(
                f"{text!r} is of no family that can be asked: {', '.join(self.families)}"
            )
        return make_problem(chosen, first, second, self._config.layout)

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Right only if ended and equal to the reference; there is no partial credit."""
        if not ended:
            return Score(value=0.0, reason="not ended")
        if answer == problem.answer:
            return Score(value=1.0, reason="right")
        return Score(value=0.0, reason="wrong" if answer else "empty")

    def max_answer_tokens(self, level: int) -> int:
        """A token per digit, one for the carry, the end, and one more by which too long an answer
        shows."""
        return level + 3

    def max_proposal_tokens(self) -> int:
        """Two numbers, the sign between them, the end, and one more."""
        return 2 * self.levels[-1] + 3

    def proposer_prompt(self) -> str:
        return "P" + MARK

    def _draw(self, family: str, level: int, random: Random) -> Problem:
        return draw_problem(family, level, random, self._config.layout)


def number_of(digits: str) -> int:
    """The number that `digits` writes from its last digit on."""
    return int(digits[::-1])


def digits_of(number: int, count: int) -> str:
    """`number` from its last digit on, with zeros up to `count` digits."""
    return str(number).zfill(count)[::-1]


def draw_problem(family: str, level: int, random: Random, layout: Layout = "plain") -> Problem:
    """Any problem of a family and level, held out or not."""
    first, second = draw_digits(level, random), ""
    if family == "multiply":
        second = random.choice(_FACTORS)
    elif family != "copy":
        second = draw_digits(level, random)
    if family == "subtract" and number_of(first) < number_of(second):
        first, second = second, first
    return make_problem(family, first, second, layout)


def make_problem(family: str, first: str, second: str, layout: Layout = "plain") -> Problem:
    """The problem of these operands, its reference answer with it."""
    operation, level = OPERATIONS[family], len(first)
    a, b = number_of(first), number_of(second or "0")
    text = first + operation.sign + second
    if layout == "interleaved" and family in ("add", "subtract"):
        text = operation.sign + "".join(map("".join, zip(first, second, strict=True)))
    return Problem(
        family=family,
        level=level,
        prompt=text + MARK,
        question="Last digit first: " + operation.words.format(a=a, b=b),
        answer=digits_of(operation.answer(a, b), level + operation.more_digits),
    )


def _plain(text: str) -> str:
    """A text with its two numbers one after the other, whatever its layout."""
    if found := _INTERLEAVED.fullmatch(text):
        sign, digits = found.groups()
        return str(digits[::2] + sign + digits[1::2])
    return text


def _parsed(text: str) -> tuple[str, str, str]:
    """The family and the operands; raises `NotATask` for what no problem of this domain is."""
    found = _TEXT.fullmatch(text)
    first, sign, second = found.groups(default="") if found else ("", "", "")
    family = next((name for name, known in OPERATIONS.items() if known.sign == sign), None)
    if family is None or not _fit(family, first, second):
        raise NotATask("unparseable")
    return family, first, second


def _fit(family: str, first: str, second: str) -> bool:
    if family == "copy":
        return second == ""
    if family == "multiply":
        return len(second) == 1 and second in _FACTORS
    same = len(first) == len(second)
    return same and (family == "add" or number_of(first) >= number_of(second))
