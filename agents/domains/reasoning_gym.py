"""Any of reasoning-gym's hundred families of tasks, made and judged by reasoning-gym itself.
Knows no model and no run; loads reasoning-gym (seconds) only to make or judge a problem.

One real task, `spell_backward` with the short prompt `r{word}>`, level 8: the model reads
`rcanroyer>` and must write `reyornac`. Its question, which is the prompt if none is given:
`Spell this word backward (example: sun -> nus): canroyer`.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from random import Random
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from agents.domains.domain import NotATask, Problem, Score
from agents.domains.gym_catalog import (
    check_dataset,
    check_parameters,
    check_repeatable,
    dataset_files,
)
from agents.domains.gym_datasets import (
    HELD_OUT_SEED,
    MADE_SEED,
    evaluates,
    open_dataset,
    score_answer,
)
from agents.domains.gym_scorers import EvaluatingScorer, held
from agents.domains.lengths import Lengths
from agents.domains.suites import check_levels, first_of
from agents.domains.words import entry_of, is_plain, plain_words
from agents.parts import PartConfig, Parts

Level = Annotated[int, Field(ge=1)]

MARK = ">"
MAX_DRAWS = 1_000
MAX_WORD_LENGTH = 60
SAMPLED = 32


class ReasoningGymConfig(PartConfig):
    """A dataset and what its levels mean: the parameters named in `level_parameters` are set to
    the level, those of `difficulty[level]` to what stands there, `parameters` hold for all.

    `prompt` is a short form over an entry's metadata, as `r{word}>`; without it the model reads
    the whole question. Held-out problems are refused from `held_out_from` on: raise it above
    levels that have too few problems to keep any back.
    """

    type: Literal["reasoning_gym"] = "reasoning_gym"
    dataset: str
    levels: tuple[Level, ...] = Field(min_length=1)
    warmup_levels: tuple[Level, ...] = ()
    level_parameters: tuple[str, ...] = ()
    difficulty: dict[Level, dict[str, Any]] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    prompt: str | None = None
    held_out_from: int = Field(default=1, ge=1)
    held_out_per_level: int = Field(default=64, ge=1)
    max_answer_tokens: int | None = Field(default=None, ge=1)

    @field_validator("dataset")
    @classmethod
    def _dataset_exists(cls, dataset: str) -> str:
        check_dataset(dataset)
        check_repeatable(dataset)
        return dataset

    @model_validator(mode="after")
    def _levels_differ(self) -> "ReasoningGymConfig":
        check_levels(self.levels, warmup_levels=self.warmup_levels, difficulty=self.difficulty)
        for level in self.levels:
            check_parameters(self.dataset, set(self.parameters_of(level)))
        if len({repr(self.parameters_of(level)) for level in self.levels}) < len(self.levels):
            raise ValueError("levels do not differ: name level_parameters or a difficulty for each")
        return self

    @model_validator(mode="after")
    def _prompt_fits(self) -> "ReasoningGymConfig":
        if self.prompt is not None and not any(
            field for _, field, _, _ in Formatter().parse(self.prompt)
        ):
            raise ValueError(f"prompt {self.prompt!r} names no metadata field, as in 'r{{word}}>'")
        if self.spells:
            before, after = self.around_word
            if "{word}" not in str(self.prompt) or set("{}") & set(before + after):
                raise ValueError(f"prompt {self.prompt!r} must have the one field {{word}}")
            lengths = ("min_word_len", "max_word_len")
            for level in self.levels:
                if any(self.parameters_of(level).get(name) != level for name in lengths):
                    raise ValueError(
                        "with a short prompt a level of spell_backward is a word length: "
                        f"set level_parameters = {list(lengths)}"
                    )
        return self

    @property
    def spells(self) -> bool:
        """Whether problems are plain words in a short prompt, so that anyone can write one."""
        return self.dataset == "spell_backward" and self.prompt is not None

    @property
    def around_word(self) -> tuple[str, str]:
        before, _, after = (self.prompt or "").partition("{word}")
        return before, after

    def parameters_of(self, level: int) -> dict[str, Any]:
        """What the dataset of this level is made with."""
        by_level = dict.fromkeys(self.level_parameters, level)
        return {**self.parameters, **by_level, **self.difficulty.get(level, {})}

    def held_by(self) -> str | None:
        """What holds answers that are evaluated on this machine; None where none are."""
        return held() if evaluates(self.dataset) else None

    def build(self, parts: Parts | None = None) -> "ReasoningGym":
        """Raises ValueError without reasoning-gym, or without a sandbox for a scorer that evaluates
        answers."""
        if not dataset_files():
            raise ValueError("reasoning-gym is not installed: run `uv sync --extra gym`")
        return ReasoningGym(self)


class ReasoningGym:
    """The `Domain` of one reasoning-gym dataset; the dataset is its only family."""

    name = "reasoning_gym"

    def __init__(self, config: ReasoningGymConfig) -> None:
        self._config = config
        self._dataset = cache(self._open_dataset)
        self._held_out = cache(self._draw_held_out)
        self._lengths = cache(self._look_at)
        name = config.dataset
        self._evaluating = EvaluatingScorer(name) if evaluates(name) else None

    @property
    def waits(self) -> bool:
        return self._evaluating is not None

    @property
    def families(self) -> Sequence[str]:
        return (self._config.dataset,)

    @property
    def warmup_levels(self) -> Sequence[int]:
        return self._config.warmup_levels

    @property
    def levels(self) -> Sequence[int]:
        return self._config.levels

    def make(self, family: str, level: int, random: Random) -> Problem:
        """A new problem, never a held-out one, and none that is longer than those that were looked
        at to say how long they are. Raises ValueError if no other can be found."""
        for _ in range(MAX_DRAWS):
            problem = self._draw(level, random)
            if not self._refused(problem) and self._is_short(problem):
                return problem
        raise ValueError(
            f"{family} has hardly a problem of level {level} that is not held out: "
            "raise held_out_from above it or lower held_out_per_level"
        )

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The first `count` of the suite; fewer where the level has not so many problems."""
        suite = self._held_out(level).values()
        return first_of(suite, count, self._config.held_out_per_level)

    def read(self, text: str) -> Problem:
        """The problem that a model wrote as `rcanroyer`; raises `NotATask`.

        Only words in a short prompt can be written so: of other datasets nobody but their
        generator knows the answer, and every text is refused.
        """
        before, after = self._config.around_word
        after = after.removesuffix(MARK)
        word = text.removeprefix(before).removesuffix(after)
        if not self._config.spells or text != before + word + after or not is_plain(word):
            raise NotATask("unparseable")
        if len(word) not in self.levels:
            raise NotATask("out of range")
        problem = self._spell(word)
        if self._refused(problem):
            raise NotATask("held-out")
        return problem

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`, where the dataset can be written."""
        return problem.prompt.removesuffix(MARK)

    def pose(self, question: str, family: str | None = None) -> Problem:
        """The user's own word, of any length up to 60. Of other datasets: the text in the prompt's
        short form, with the answer unknown (empty), so that no score but 0 is possible."""
        if family not in (None, self._config.dataset):
            raise NotATask(f"there is no family {family!r} here, only {self._config.dataset}")
        if not self._config.spells:
            return Problem(
                family=self._config.dataset,
                level=self.levels[0],
                prompt=_in_form(self._config.prompt, question),
                question=question,
                answer="",
            )
        before, after = self._config.around_word
        word = question.strip()
        if after and word.endswith(after):
            word = word.removeprefix(before).removesuffix(after)
        word = word.lower()
        if not is_plain(word) or len(word) > MAX_WORD_LENGTH:
            raise NotATask(f"{question!r} is not a word of 1 to {MAX_WORD_LENGTH} letters a-z")
        return self._spell(word)

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """What the dataset's own scorer gives, full or partial, if the answer was ended."""
        if not ended:
            return Score(value=0.0, reason="not ended")
        if not problem.metadata:
            return Score(value=0.0, reason="no known answer")
        entry = {
            "question": problem.question,
            "answer": problem.answer or None,
            "metadata": problem.metadata,
        }
        value = self._value(problem, answer, entry)
        if value is None:
            return Score(value=0.0, reason="unreadable")
        if value == 1.0:
            return Score(value=1.0, reason="right")
        if not answer:
            return Score(value=0.0, reason="empty")
        return Score(value=value, reason="partly right" if value > 0 else "wrong")

    def _value(self, problem: Problem, answer: str, entry: dict[str, Any]) -> float | None:
        if self._evaluating is not None:
            parameters = self._config.parameters_of(problem.level)
            return self._evaluating.score(parameters, answer, entry)
        dataset = self._dataset(problem.level, MADE_SEED)
        return score_answer(dataset, problem.family, answer, entry)

    def max_answer_tokens(self, level: int) -> int:
        """As configured; for words a token per letter, the end, and one more; else what the longest
        known answer of the level takes."""
        if self._config.max_answer_tokens is not None:
            return self._config.max_answer_tokens
        return level + 2 if self._config.spells else self._lengths(level).answer_tokens

    def max_proposal_tokens(self) -> int:
        """As for an answer, and what stands around the word."""
        around = len("".join(self._config.around_word)) if self._config.spells else 0
        return self.max_answer_tokens(self.levels[-1]) + around

    def proposer_prompt(self) -> str:
        return "P" + MARK

    def _problem(self, level: int, entry: dict[str, Any]) -> Problem:
        metadata = json.loads(json.dumps(entry["metadata"], default=str))
        if self._config.spells:
            metadata.pop("source_index")  # the same word is the same problem
        return Problem(
            family=self._config.dataset,
            level=level,
            prompt=self._prompt(entry),
            question=entry["question"],
            answer=entry["answer"] or "",
            metadata=metadata,
        )

    def _prompt(self, entry: dict[str, Any]) -> str:
        if self._config.prompt is None:
            return str(entry["question"])
        try:
            return self._config.prompt.format(**entry["metadata"])
        except (LookupError, AttributeError) as error:
            fields = ", ".join(entry["metadata"])
            raise ValueError(
                f"prompt {self._config.prompt!r} does not fit {self._config.dataset}, "
                f"whose metadata fields are {fields}"
            ) from error

    def _spell(self, word: str) -> Problem:
        return self._problem(len(word), entry_of(self._dataset(len(word), MADE_SEED), word))

    def _draw(self, level: int, random: Random) -> Problem:
        dataset = self._dataset(level, MADE_SEED)
        return self._problem(level, dataset[random.randrange(len(dataset))])

    def _is_short(self, problem: Problem) -> bool:
        return self._config.spells or self._lengths(problem.level).holds(problem)

    def _look_at(self, level: int) -> Lengths:
        random = Random(f"{self._config.dataset} lengths {level}")
        made = [self._draw(level, random) for _ in range(SAMPLED)]
        return Lengths.of([*self._held_out(level).values(), *made])

    def _refused(self, problem: Problem) -> bool:
        level = problem.level
        return level >= self._config.held_out_from and problem.prompt in self._held_out(level)

    def _draw_held_out(self, level: int) -> dict[str, Problem]:
        dataset = self._dataset(level, HELD_OUT_SEED)
        drawn: dict[str, Problem] = {}
        for index in range(min(len(dataset), MAX_DRAWS + self._config.held_out_per_level)):
            problem = self._problem(level, dataset[index])
            drawn.setdefault(problem.prompt, problem)
            if len(drawn) == self._config.held_out_per_level:
                break
        return drawn

    def _open_dataset(self, level: int, seed: int) -> Any:
        config = self._config
        dataset = open_dataset(config.dataset, seed, config.parameters_of(level))
        if config.spells:
            dataset.words = plain_words(dataset.words, level)
        return dataset


def _in_form(form: str | None, text: str) -> str:
    """What a user wrote, as the model reads it. Raises `NotATask` where a form has several fields
    and the text is not of that form."""
    if form is None:
        return text
    parsed = list(Formatter().parse(form))
    fields = [place for place, (_, field, _, _) in enumerate(parsed) if field is not None]
    literals = [literal for literal, *_ in parsed] + [""] * (len(parsed) == len(fields))
    if re.fullmatch(".+".join(map(re.escape, literals)), text, re.DOTALL):
        return text
    if len(fields) > 1:
        raise NotATask(f"{text!r} is not of the form {form!r}: write it so, or as --raw")
    return text.join(literals)
