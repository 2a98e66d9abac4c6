"""Operations under code names that say nothing of them: only trying tells which code stands for
which. Knows no model and no run.

One real task of level 2: the model reads `qz:314>`. The code `qz` stands for one of a few
operations of the micro-language, always the same; if it is `r`, reverse, the answer is `413`. At
level 1, which a warm-up shows, every problem draws an operation of its own: of these nothing can be
known, so that a seed model learns what may be meant, and nothing about any code.

A problem names, for whoever teaches a seed model, what each other operation would have given
(`mistakes`), under the lesson that such an answer teaches when it is wrong: `-n`, it is not `n`.
"""

from collections.abc import Sequence
from functools import cache
from random import Random
from string import ascii_lowercase
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from agents.domains.domain import NotATask, Problem, Score
from agents.domains.programs.language import OPERATIONS, run
from agents.domains.strings import MARK, draw_digits, is_digits
from agents.domains.suites import check_levels, first_of
from agents.parts import PartConfig, Parts

FAMILY = "codes"
LOOSE, FIXED = 1, 2
"""The level of problems with an operation of their own, and of those whose code has one."""

NOT = "-"
MIN_DIGITS = 3

Level = Annotated[int, Field(ge=LOOSE, le=FIXED)]


class CodesConfig(PartConfig):
    """So many `codes`, each of which stands for one of `operations`, the letters of programs; which
    one follows from `seed`. Inputs have 3 to `max_digits` digits, of which no two operations make
    the same. Problems of the held-out suite are refused everywhere."""

    held_out_from: ClassVar[int] = FIXED

    type: Literal["codes"] = "codes"
    codes: int = Field(default=64, ge=1, le=400)
    operations: str = "rnca"
    max_digits: int = Field(default=4, ge=MIN_DIGITS, le=9)
    seed: int = 1
    warmup_levels: tuple[Level, ...] = (LOOSE,)
    levels: tuple[Level, ...] = Field(default=(LOOSE, FIXED), min_length=1)
    held_out_per_level: int = Field(default=64, ge=1, le=1000)

    @field_validator("operations")
    @classmethod
    def _can_be_told_apart(cls, operations: str) -> str:
        if unknown := set(operations) - set(OPERATIONS):
            raise ValueError(f"there is no operation {min(unknown)}")
        if len(set(operations)) < len(operations) or len(operations) < 2:
            raise ValueError("operations are two letters or more, each of them once")
        random = Random(0)
        if not any(_outputs(operations, draw_digits(MIN_DIGITS, random)) for _ in range(200)):
            raise ValueError("of no input do these operations make as many different outputs")
        return operations

    @field_validator("levels")
    @classmethod
    def _ascend(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        check_levels(levels)
        return levels

    def build(self, parts: Parts | None = None) -> "Codes":
        return Codes(self)


class Codes:
    """The `Domain` of codes."""

    name = FAMILY
    families: Sequence[str] = (FAMILY,)

    def __init__(self, config: CodesConfig) -> None:
        self._config = config
        random = Random(f"{FAMILY}/{config.seed}")
        names = [one + other for one in ascii_lowercase for other in ascii_lowercase]
        chosen = random.sample(names, config.codes)
        self._meanings = {name: random.choice(config.operations) for name in chosen}
        self._held_out = cache(self._draw_held_out)

    @property
    def warmup_levels(self) -> Sequence[int]:
        return self._config.warmup_levels

    @property
    def levels(self) -> Sequence[int]:
        return self._config.levels

    def make(self, family: str, level: int, random: Random) -> Problem:
        """A new problem, of level 2 never a held-out one."""
        while True:
            problem = self._draw(level, random)
            if level < FIXED or problem.prompt not in self._held_out(level):
                return problem

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The first `count` of the suite."""
        suite = self._held_out(level).values()
        return first_of(suite, count, self._config.held_out_per_level)

    def read(self, text: str) -> Problem:
        """Raises `NotATask`: nobody knows a code before it was tried."""
        raise NotATask("unparseable")

    def write(self, problem: Problem) -> str:
        return problem.prompt.removesuffix(MARK)

    def pose(self, question: str, family: str | None = None) -> Problem:
        """A code of the run and digits, as in `qz:314`."""
        code, _, value = question.strip().removesuffix(MARK).partition(":")
        fits = is_digits(value) and MIN_DIGITS <= len(value) <= self._config.max_digits
        if code not in self._meanings or not fits:
            raise NotATask(
                f"{question[:40]!r} states no task: ask for something like "
                f"{min(self._meanings)}:314, a code and {MIN_DIGITS} to {self._config.max_digits} "
                "digits"
            )
        return self._problem(FIXED, code, self._meanings[code], value)

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Right or not."""
        if not ended:
            return Score(value=0.0, reason="not ended")
        if answer == problem.answer:
            return Score(value=1.0, reason="right")
        return Score(value=0.0, reason="wrong" if answer else "empty")

    def max_answer_tokens(self, level: int) -> int:
        """The longest output, the end, and one more by which too long an answer shows."""
        return 2 * self._config.max_digits + 2

    def max_proposal_tokens(self) -> int:
        return 3 + self._config.max_digits + 2

    def proposer_prompt(self) -> str:
        return "P" + MARK

    def _draw(self, level: int, random: Random) -> Problem:
        code = random.choice(list(self._meanings))
        drawn = random.choice(self._config.operations)
        operation = self._meanings[code] if level == FIXED else drawn
        while True:
            value = draw_digits(random.randint(MIN_DIGITS, self._config.max_digits), random)
            if _outputs(self._config.operations, value):
                return self._problem(level, code, operation, value)

    def _problem(self, level: int, code: str, operation: str, value: str) -> Problem:
        others = [letter for letter in self._config.operations if letter != operation]
        return Problem(
            family=FAMILY,
            level=level,
            prompt=f"{code}:{value}{MARK}",
            question=f"What {code} makes of {value}",
            answer=run(operation, value),
            metadata={
                "code": code,
                "mistakes": {NOT + letter: run(letter, value) for letter in others},
            },
        )

    def _draw_held_out(self, level: int) -> dict[str, Problem]:
        random = Random(f"{FAMILY} held-out {level} {self._config.seed}")
        drawn: dict[str, Problem] = {}
        while len(drawn) < self._config.held_out_per_level:
            problem = self._draw(level, random)
            drawn.setdefault(problem.prompt, problem)
        return drawn


def _outputs(operations: str, value: str) -> bool:
    """Whether each operation makes something of a value, and no two the same."""
    made = {run(letter, value) for letter in operations}
    return len(made) == len(operations) and "" not in made
