"""Reverse or sort a string of digits; its length is the level. Knows no model and no run.

One real task, family `reverse`, level 4: the model reads `r3142>` and must write `2413` and end.
The same digits in family `sort` are `s3142>`, and the answer is `1234`.
"""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from agents.domains.domain import NotATask, Problem, Score
from agents.domains.suites import check_digits_left, check_levels, first_of
from agents.parts import PartConfig, Parts

Family = Literal["reverse", "sort"]
Level = Annotated[int, Field(ge=1, le=60)]

DIGITS = "0123456789"
MARK = ">"
LETTERS: dict[str, str] = {"reverse": "r", "sort": "s"}


class StringsConfig(PartConfig):
    """Which tasks, up to which length. Below `held_out_from` there are too few strings to
    keep any back; from it on, those of the held-out suite are refused everywhere."""

    evolves: ClassVar[bool] = True

    type: Literal["strings"] = "strings"
    families: tuple[Family, ...] = Field(default=("reverse", "sort"), min_length=1)
    warmup_levels: tuple[Level, ...] = (1, 2, 3, 4)
    levels: tuple[Level, ...] = Field(default=tuple(range(1, 21)), min_length=1)
    held_out_from: int = Field(default=4, ge=1)
    held_out_per_level: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> "StringsConfig":
        check_levels(self.levels, warmup_levels=self.warmup_levels)
        check_digits_left(self.levels, self.held_out_from, self.held_out_per_level, "strings")
        return self

    def build(self, parts: Parts | None = None) -> "Strings":
        return Strings(self)


class Strings:
    """The `Domain` of digit strings."""

    name = "strings"

    def __init__(self, config: StringsConfig) -> None:
        self._config = config
        self._held_out = cache(self._draw_held_out)

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
        while True:
            digits = draw_digits(level, random)
            if not self._refused(family, digits):
                return make_problem(family, digits)

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The first `count` of the suite; short levels have fewer strings than that."""
        suite = (make_problem(family, digits) for digits in self._held_out(family, level))
        return first_of(suite, count, self._config.held_out_per_level)

    def read(self, text: str) -> Problem:
        """The problem that a model wrote as `r3142`; raises `NotATask`."""
        letter, digits = text[:1], text[1:]
        if not letter.isalpha() or not is_digits(digits):
            raise NotATask("unparseable")
        family = next((name for name in self.families if LETTERS[name] == letter), None)
        if family is None:
            raise NotATask("unknown family")
        if len(digits) not in self.levels:
            raise NotATask("out of range")
        if self._refused(family, digits):
            raise NotATask("held-out")
        return make_problem(family, digits)

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`."""
        return problem.prompt.removesuffix(MARK)

    def evolve(self, problem: Problem, operator: str, random: Random) -> Problem:
        """With a digit more (deepen), or with others in their place (widen); raises `NotATask`."""
        letter, digits = problem.prompt[:1], problem.prompt[1:].removesuffix(MARK)
        match operator:
            case "deepen":
                place = random.randint(0, len(digits))
                digits = digits[:place] + random.choice(DIGITS) + digits[place:]
            case "widen":
                digits = draw_digits(len(digits), random)
            case _:
                raise NotATask("unknown operator")
        return self.read(letter + digits)

    def pose(self, question: str, family: str | None = None) -> Problem:
        """The user's own digits, as `3142`, `s3142` or `s3142>`, of any length up to 60."""
        text = question.strip().removesuffix(MARK)
        named = next((name for name in LETTERS if text.startswith(LETTERS[name])), None)
        digits = text[1:] if named else text
        chosen = named or family or self.families[0]
        if family not in (None, chosen) or chosen not in self.families:
            raise NotATask(
                f"{question!r} is of no family that can be asked: {', '.join(self.families)}"
            )
        if not is_digits(digits) or len(digits) > 60:
            raise NotATask(
                f"{question!r} is not 1 to 60 digits: ask for something like 3142 or s3142"
            )
        return make_problem(chosen, digits)

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Right only if ended and equal to the reference; there is no partial credit."""
        if not ended:
            return Score(value=0.0, reason="not ended")
        if answer == problem.answer:
            return Score(value=1.0, reason="right")
        return Score(value=0.0, reason="wrong" if answer else "empty")

    def max_answer_tokens(self, level: int) -> int:
        """One token per digit, the end, and one more by which too long an answer shows."""
        return level + 2

    def max_proposal_tokens(self) -> int:
        """The family letter, a token per digit, the end, and one more."""
        return self.levels[-1] + 3

    def proposer_prompt(self) -> str:
        return "P" + MARK

    def _refused(self, family: str, digits: str) -> bool:
        level = len(digits)
        return level >= self._config.held_out_from and digits in self._held_out(family, level)

    def _draw_held_out(self, family: str, level: int) -> dict[str, None]:
        random = Random(f"strings held-out {family} {level}")
        count = min(self._config.held_out_per_level, 10**level)
        drawn: dict[str, None] = {}
        while len(drawn) < count:
            drawn[draw_digits(level, random)] = None
        return drawn


def draw_digits(count: int, random: Random) -> str:
    return "".join(random.choices(DIGITS, k=count))


def is_digits(text: str) -> bool:
    return text != "" and all(character in DIGITS for character in text)


def make_problem(family: str, digits: str) -> Problem:
    """The problem of these digits, its reference answer with it."""
    return Problem(
        family=family,
        level=len(digits),
        prompt=LETTERS[family] + digits + MARK,
        question=f"{family.capitalize()} the digits {digits}",
        answer=digits[::-1] if family == "reverse" else "".join(sorted(digits)),
    )
