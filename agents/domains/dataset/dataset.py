"""Prompts and answers of the user's own, out of files. Knows no model and no run.

One real task, of the line `{"prompt": "3142>", "answer": "2413"}`: the model reads `3142>` and must
write `2413` and end. Without a column for it, the level says how long prompt and answer are.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

from pydantic import Field

from agents.domains.dataset.cells import Cells, as_of
from agents.domains.dataset.entries import MAX_LEVEL, Columns, Entry, drawn, split
from agents.domains.dataset.reading import Data
from agents.domains.dataset.scoring import Scorer, score
from agents.domains.domain import NotATask, Problem, Score
from agents.domains.lengths import UNKNOWN_ANSWER_TOKENS, Lengths
from agents.parts import PartConfig

Level = Annotated[int, Field(ge=1, le=MAX_LEVEL)]


class DatasetConfig(PartConfig):
    """Which files, which of their columns, what is held out, and how an answer is judged.

    `held_out` is the share of prompts that is kept back, drawn with `seed`; with `held_out_path`
    those of that file are. `sha256` is of the bytes: a run stores what it was started with.
    """

    type: Literal["dataset"] = "dataset"
    path: Path
    prompt: str = Field(default="prompt", min_length=1)
    answer: str = Field(default="answer", min_length=1)
    family: str = ""
    level: str = ""
    unlabeled: bool = False
    by_length: int = Field(default=4, ge=1, le=100)
    warmup_levels: tuple[Level, ...] | None = None
    held_out: float = Field(default=0.1, gt=0, lt=1)
    held_out_path: Path | None = None
    held_out_per_level: int = Field(default=64, ge=1)
    seed: int = 1
    scorer: Scorer = "exact"
    tolerance: float = Field(default=1e-6, ge=0)
    max_answer_tokens: int | None = Field(default=None, ge=1)
    sha256: str = ""

    def pinned(self) -> "DatasetConfig":
        """With paths that hold in any folder, and with what the data is now unless that is said.
        Raises `ValueError` where it cannot be read."""
        update: dict[str, Any] = {"path": self.path.absolute()}
        if self.held_out_path is not None:
            update["held_out_path"] = self.held_out_path.absolute()
        if not self.sha256:
            update["sha256"] = _sum([Data.at(path) for path in self._paths])
        return self.model_copy(update=update)

    def entries(self) -> tuple[list[Entry], list[Entry]]:
        """Those to ask and those held out. Raises `ValueError` with a sentence for data that
        cannot be used, or is not what it was."""
        data = [Data.at(path) for path in self._paths]
        if self.sha256 and (found := _sum(data)) != self.sha256:
            raise ValueError(
                f"{self.path} has changed: its sha256 is {found[:12]}…, and {self.sha256[:12]}… is "
                "wanted; restore it, or start another run with it"
            )
        read = [self._columns.entries(each.rows()) for each in data]
        if empty := [path for path, found in zip(self._paths, read, strict=True) if not found]:
            raise ValueError(f"{empty[0]} has no rows: write one for each prompt")
        if len(read) == 1:
            return split(read[0], self.held_out, self.seed)
        kept = {entry.key for entry in read[1]}
        return [entry for entry in read[0] if entry.key not in kept], read[1]

    def build(self, parts: Any = None) -> "Dataset":
        """Raises ValueError for data that cannot be used."""
        return Dataset(self, *self.entries())

    @property
    def _paths(self) -> list[Path]:
        return [path for path in (self.path, self.held_out_path) if path is not None]

    @property
    def _columns(self) -> Columns:
        return Columns(
            prompt=self.prompt,
            answer=self.answer,
            family=self.family,
            level=self.level,
            unlabeled=self.unlabeled,
            scorer=self.scorer,
            tolerance=self.tolerance,
        )


class Dataset:
    """The `Domain` of one data set. A family that lacks a level is asked its nearest one there.
    `asked` and `kept` are the entries, `kept` those held out."""

    name = "dataset"

    def __init__(
        self, config: DatasetConfig, asked: Sequence[Entry], held_out: Sequence[Entry]
    ) -> None:
        self._config = config
        self.asked = tuple(asked)
        self.kept = tuple(
            sorted(held_out, key=lambda entry: (drawn(entry, config.seed), entry.prompt))
        )
        self._cells = Cells(self.asked, self.kept, config.by_length, str(config.path))
        self.families: Sequence[str] = self._cells.families
        self.levels: Sequence[int] = self._cells.levels
        self.warmup_levels: Sequence[int] = self._warmed_up_on()
        self._to_ask = {one.prompt: one for one in self._cells.all_asked()}
        self._to_keep = {one.prompt: one for one in self._cells.all_held_out()}
        self._rooms = {
            level: Lengths.of(self._cells.of_level(level)).answer_tokens for level in self.levels
        }

    def make(self, family: str, level: int, random: Random) -> Problem:
        """One of the prompts that are not held out, as of the level that was asked for."""
        return as_of(random.choice(self._cells.asked(family, level)), level)

    def longest(self, family: str, level: int) -> list[Problem]:
        """Those that `make` may give with the longest prompt and with the longest answer."""
        cell = self._cells.asked(family, level)
        by_prompt = max(cell, key=lambda one: len(one.prompt.encode()))
        by_answer = max(cell, key=lambda one: len(one.answer.encode()))
        return [as_of(by_prompt, level), as_of(by_answer, level)]

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The first `count` of the suite; fewer where not so many are held out."""
        if count > self._config.held_out_per_level:
            raise ValueError(
                f"the held-out suite has {self._config.held_out_per_level} problems per level, "
                f"not {count}: raise held_out_per_level"
            )
        return self._cells.held_out(family, level)[:count]

    def read(self, text: str) -> Problem:
        """The problem with this prompt; raises `NotATask`: nobody knows the answer to others."""
        if text in self._to_keep:
            raise NotATask("held-out")
        if text not in self._to_ask:
            raise NotATask("unparseable")
        return self._to_ask[text]

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`."""
        return problem.prompt

    def pose(self, question: str, family: str | None = None) -> Problem:
        """The data's problem with this prompt, else one whose answer is unknown (empty)."""
        if family is not None and family not in self.families:
            raise NotATask(f"there is no family {family!r} here, only {', '.join(self.families)}")
        for known in (self._to_ask, self._to_keep):
            if question in known:
                return known[question]
        return Problem(
            family=family or self.families[0],
            level=self.levels[0],
            prompt=question,
            question=question,
            answer="",
        )

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """What the recipe's scorer says; there is no partial credit."""
        return score(problem, answer, ended, self._config.scorer, self._config.tolerance)

    def max_answer_tokens(self, level: int) -> int:
        """As configured, else what the longest known answer of the level takes."""
        return self._config.max_answer_tokens or self._rooms.get(level, UNKNOWN_ANSWER_TOKENS)

    def max_proposal_tokens(self) -> int:
        """The longest prompt, the end, and one more."""
        return max(len(entry.prompt.encode()) for entry in self.asked) + 2

    def proposer_prompt(self) -> str:
        return "P>"

    def _warmed_up_on(self) -> Sequence[int]:
        """The lowest level if nothing is said and all of its answers are known."""
        chosen = self._config.warmup_levels
        levels = tuple(self.levels[:1]) if chosen is None else chosen
        if extra := set(levels) - set(self.levels):
            raise ValueError(f"warmup_levels {sorted(extra)} are not among {list(self.levels)}")
        for level in levels:
            problems = (one for of in self.families for one in self._cells.asked(of, level))
            if not all(one.answer for one in problems):
                if chosen is None:
                    return ()
                raise ValueError(
                    f"warmup_levels: level {level} has prompts without an answer to show"
                )
        return levels


def _sum(data: list[Data]) -> str:
    return "+".join(each.sha256 for each in data)
