"""How long the problems of a level are, by a fixed sample of them. Knows no tokenizer: a text has
at most as many tokens as bytes."""

from collections.abc import Iterable
from dataclasses import dataclass

from agents.domains.domain import Problem

UNKNOWN_ANSWER_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """The longest prompt and the longest reference answer of a sample, in bytes."""

    prompt: int
    answer: int

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "Lengths":
        seen = list(problems)
        return cls(
            prompt=max((_bytes(problem.prompt) for problem in seen), default=0),
            answer=max((_bytes(problem.answer) for problem in seen), default=0),
        )

    def holds(self, problem: Problem) -> bool:
        return _bytes(problem.prompt) <= self.prompt and _bytes(problem.answer) <= self.answer

    @property
    def answer_tokens(self) -> int:
        """Room for a right answer: the longest, a quarter as much again for others that are right
        too, the end, and one more by which too long an answer shows."""
        return self.answer * 5 // 4 + 2 if self.answer else UNKNOWN_ANSWER_TOKENS


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
