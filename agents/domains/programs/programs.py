"""Programs of a micro-language, one letter for an operation; the number of letters is the level.
Knows no model and no run.

Real tasks of level 2, of the program `rn` (reverse, then the next digit for each) and `3142`:

- `deduction`: the model reads `drn:3142>` and must write the output, `3524`.
- `abduction`: it reads `arn=3524,4>` and must write an input of at most 4 digits that gives `3524`.
- `induction`: it reads `i2,3142:3524;076:781;55:66>` and must write a program of at most 2 letters
  that gives these outputs, and those of five inputs that it does not see.

With `rationale` a deduction is answered by what is left to run after each operation, `n:2413;3524`,
of which the output at the end is judged alone. A proposer writes a program and an input,
`drn:3142`, `arn:3142` or `irn:3142`; everything else follows from these, as in Zhao et al. 2025
(arXiv 2505.03335).
"""

from collections.abc import Sequence
from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from agents.domains.domain import NotATask, Problem, Score
from agents.domains.programs.evolution import evolved
from agents.domains.programs.language import MAX_PROGRAM
from agents.domains.programs.scoring import score
from agents.domains.programs.tasks import (
    LETTERS,
    MAX_DIGITS,
    MAX_OUTPUT,
    asked,
    make_problem,
    parsed,
    written,
)
from agents.domains.programs.validity import ALL, draw_program, is_trivial, longest_program
from agents.domains.strings import MARK, draw_digits
from agents.domains.suites import Suites, check_levels
from agents.parts import PartConfig, Parts

Family = Literal["deduction", "abduction", "induction"]
FAMILIES: tuple[Family, ...] = ("deduction", "abduction", "induction")
Level = Annotated[int, Field(ge=1, le=MAX_PROGRAM)]
Digits = Annotated[int, Field(ge=3, le=MAX_DIGITS)]


class ProgramsConfig(PartConfig):
    """Which families, up to how many operations; inputs have from `min_digits` to `max_digits`.
    Programs are of the letters `operations`. With `rationale` a deduction is answered step by step.
    Problems of the held-out suite are refused everywhere."""

    evolves: ClassVar[bool] = True

    type: Literal["programs"] = "programs"
    families: tuple[Family, ...] = Field(default=FAMILIES, min_length=1)
    warmup_levels: tuple[Level, ...] = (1, 2)
    levels: tuple[Level, ...] = Field(default=(1, 2, 3, 4, 5, 6), min_length=1)
    min_digits: Digits = 3
    max_digits: Digits = 5
    held_out_per_level: int = Field(default=64, ge=1, le=1000)
    operations: str = ALL
    rationale: bool = False

    @field_validator("operations")
    @classmethod
    def _are_operations(cls, operations: str) -> str:
        if not operations or len(set(operations)) < len(operations):
            raise ValueError("operations are letters, each of them once")
        if unknown := set(operations) - set(ALL):
            raise ValueError(f"there is no operation {min(unknown)}: there are {ALL}")
        return operations

    @model_validator(mode="after")
    def _fits_together(self) -> "ProgramsConfig":
        check_levels(self.levels, warmup_levels=self.warmup_levels)
        if self.min_digits > self.max_digits:
            raise ValueError(f"min_digits {self.min_digits} is above max_digits {self.max_digits}")
        if self.operations != ALL:
            longest = longest_program(self.levels[-1], self.operations)
            if longest < self.levels[-1]:
                raise ValueError(
                    f"operations {self.operations!r} make programs of up to {longest} letters that "
                    f"are not trivial, and levels go to {self.levels[-1]}: name more of them"
                )
        if self.rationale and "deduction" not in self.families:
            raise ValueError("rationale = true is for deductions: add 'deduction' to families")
        return self

    def build(self, parts: Parts | None = None) -> "Programs":
        return Programs(self)


class Programs:
    """The `Domain` of programs of the micro-language."""

    name = "programs"

    def __init__(self, config: ProgramsConfig) -> None:
        self._config = config
        self._digits = (config.min_digits, config.max_digits)
        self._suites = Suites("programs", self._draw, config.held_out_per_level)

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
        """The problem that a model wrote as `drn:3142`; raises `NotATask`, "trivial" for a program
        that does nothing, does what a shorter one does, or gives one output for all inputs."""
        family, program, value = parsed(text)
        if family not in self.families:
            raise NotATask("unknown family")
        if len(program) not in self.levels or not set(program) <= set(self._config.operations):
            raise NotATask("out of range")
        if not self._config.min_digits <= len(value) <= self._config.max_digits:
            raise NotATask("out of range")
        if is_trivial(program):
            raise NotATask("trivial")
        problem = self._problem(family, program, value)
        if self._suites.hold(problem):
            raise NotATask("held-out")
        return problem

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`."""
        return written(problem)

    def evolve(self, problem: Problem, operator: str, random: Random) -> Problem:
        """What `operator` (deepen, widen, complicate) makes of a problem; raises `NotATask`."""
        return self.read(evolved(problem, operator, random, self._config.operations))

    def pose(self, question: str, family: str | None = None) -> Problem:
        """The user's own task, as a model writes it (`drn:3142`) or reads it (`arn=3524,4>`), or a
        program and an input alone (`rn:3142`)."""
        problem = self._posed(question.strip().removesuffix(MARK), family or self.families[0])
        if family not in (None, problem.family) or problem.family not in self.families:
            raise NotATask(
                f"a task of {problem.family} is of no family that can be asked: "
                f"{', '.join(self.families if family is None else (family,))}"
            )
        return problem

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Right or not; every right input of an abduction and program of an induction counts."""
        return score(problem, answer, ended)

    def max_answer_tokens(self, level: int) -> int:
        """The longest output, or all values on the way to it, the end, and one more by which too
        long an answer shows."""
        if not self._config.rationale:
            return MAX_OUTPUT + 2
        # Before each value what is left to run and a colon, between two of them a semicolon.
        return level * MAX_OUTPUT + level * (level - 1) // 2 + 2 * (level - 1) + 2

    def max_proposal_tokens(self) -> int:
        """The family's letter, a program, a colon, an input, the end, and one more."""
        return 1 + self.levels[-1] + 1 + self._config.max_digits + 2

    def proposer_prompt(self) -> str:
        return "P" + MARK

    def _posed(self, text: str, family: str) -> Problem:
        for form in (text, LETTERS[family] + text):
            try:
                return self._problem(*parsed(form))
            except NotATask:
                continue
        try:
            return asked(text)
        except NotATask:
            raise NotATask(
                f"{text[:40]!r} states no task: ask for something like drn:3142, a family's "
                f"letter, 1 to {MAX_PROGRAM} operations, and 1 to {MAX_DIGITS} digits of which the "
                f"program makes 1 to {MAX_OUTPUT}"
            ) from None

    def _problem(self, family: str, program: str, value: str) -> Problem:
        return make_problem(family, program, value, self._digits, self._config.rationale)

    def _draw(self, family: str, level: int, random: Random) -> Problem:
        """Any problem of a family and level, held out or not."""
        while True:
            program = draw_program(level, random, self._config.operations)
            value = draw_digits(random.randint(*self._digits), random)
            try:
                return self._problem(family, program, value)
            except NotATask:
                continue
