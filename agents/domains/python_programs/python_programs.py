"""Python functions to run, to invert or to find, as in Absolute Zero (Zhao et al. 2025, arXiv
2505.03335). Knows no model and no run; what a model wrote is run in the sandbox alone.

One real task, family `deduction`, level 2: the model reads

    Here is a Python program:

    def f(x):
        x = sorted(x)
        return x + x[:2]

    What does f([3, 1, 2]) return? Answer with the value alone.

and must write `[1, 2, 3, 1, 2]`. `texts.py` says what the other families ask and how a model writes
a task.
"""

from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

from pydantic import Field, model_validator

from agents.domains.domain import NotATask, Problem, Score
from agents.domains.python_programs.drawing import draw_program
from agents.domains.python_programs.scoring import score
from agents.domains.python_programs.tasks import drawn, proposed, written_of
from agents.domains.python_programs.texts import (
    FAMILIES,
    LINE_CHARACTERS,
    MOST_INPUT,
    MOST_LINES,
    MOST_OUTPUT,
    PROPOSER,
    Family,
    most_answered,
    most_program,
    parsed,
)
from agents.domains.suites import Suites, check_levels
from agents.parts import PartConfig, Parts
from agents.sandbox.sandbox import Level as SandboxLevel
from agents.sandbox.sandbox import Sandbox, check_sandbox, level

Level = Annotated[int, Field(ge=1, le=MOST_LINES)]


class PythonProgramsConfig(PartConfig):
    """Which tasks, about programs of how many lines. Problems of the held-out suite are refused
    everywhere. An answer has room for `max_answer_tokens`, none: for its longest, a token a
    character. Where programs would be held by less than `sandbox`, none is run."""

    type: Literal["python_programs"] = "python_programs"
    families: tuple[Family, ...] = Field(default=FAMILIES, min_length=1)
    warmup_levels: tuple[Level, ...] = (1, 2)
    levels: tuple[Level, ...] = Field(default=(1, 2, 3, 4, 5), min_length=1)
    held_out_per_level: int = Field(default=64, ge=1)
    max_answer_tokens: int | None = Field(default=None, ge=1)
    sandbox: SandboxLevel = "monty alone"

    @model_validator(mode="after")
    def _fits_together(self) -> "PythonProgramsConfig":
        check_levels(self.levels, warmup_levels=self.warmup_levels)
        return self

    def held_by(self) -> str:
        """What holds programs on this machine."""
        return level()

    def build(self, parts: Parts | None = None) -> "PythonPrograms":
        """Raises ValueError without a sandbox, or with a weaker one than is asked for."""
        check_sandbox(self.sandbox)
        return PythonPrograms(self)


class PythonPrograms:
    """The `Domain` of Python programs."""

    name = "python_programs"
    waits = True

    def __init__(self, config: PythonProgramsConfig) -> None:
        self._config = config
        self._sandbox = Sandbox()
        self._suites = Suites("python programs", self._draw, config.held_out_per_level)

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
        """The first `count` of the suite."""
        return self._suites.first(family, level, count)

    def read(self, text: str) -> Problem:
        """The problem that a model wrote, run twice; raises `NotATask`."""
        written = parsed(text)
        if written.family not in self.families:
            raise NotATask("unknown family")
        if written.level not in self.levels:
            raise NotATask("out of range")
        problem = proposed(written, self._sandbox)
        if self._suites.hold(problem):
            raise NotATask("held-out")
        return problem

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`."""
        return written_of(problem).text

    def pose(self, question: str, family: str | None = None) -> Problem:
        """The user's own program and call, written as a model writes them, of any level."""
        text = question.strip("\n")
        try:
            written = parsed(text)
            problem = proposed(written, self._sandbox)
        except NotATask as refusal:
            raise NotATask(
                f"{text[:40]!r} states no task ({refusal}): write deduction, abduction or "
                "induction, a Python program that defines f, and a call of f, on lines of their own"
            ) from None
        if family not in (None, problem.family) or problem.family not in self.families:
            raise NotATask(
                f"a task of the family {problem.family} cannot be asked: "
                f"{', '.join(self.families if family is None else (family,))}"
            )
        return problem

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Right or not, by what the sandbox says."""
        return score(problem, answer, ended, self._sandbox)

    def max_answer_tokens(self, level: int) -> int:
        """As configured; else a token for each character of the longest answer, and the end."""
        if self._config.max_answer_tokens is not None:
            return self._config.max_answer_tokens
        longest = max(MOST_OUTPUT, MOST_INPUT)
        if "induction" in self.families:
            longest = max(longest, most_answered("x" * most_program(level)))
        return longest + 2

    def max_proposal_tokens(self) -> int:
        """A token for each character of the longest task, and the end."""
        return most_program(self.levels[-1]) + MOST_INPUT + LINE_CHARACTERS

    def proposer_prompt(self) -> str:
        return PROPOSER

    def _draw(self, family: str, level: int, random: Random) -> Problem:
        """Any problem of a family and level, held out or not."""
        while True:
            try:
                return drawn(family, draw_program(level, random))
            except NotATask:
                continue
