"""What an audit has found: counts, and violations with the code of the invariant they break.
Knows no log and no checkpoint.

    I1 nothing lost           I3 the chain of versions       I5 positions and the log itself
    I2 nothing twice          I4 one trainer at a time       I7 dead letters
    I9 one recipe             I10 causes before answers      I11 none staler than allowed
    I12 bodies are what was said of them                     I13 what an engine says again
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

KEPT = 1000
"""More violations than this are counted, not kept."""

_EXAMPLES = 3
_RUNS = 8

ALWAYS = (
    "events",
    "unreadable",
    "duplicated",
    "lost",
    "trained",
    "trained_twice",
    "dropped",
    "dead_letters",
    "versions",
    "epochs",
    "checkpoints",
    "unpublished",
    "orphans",
    "files_checked",
    "violations",
)
"""Counted even when there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold, and one sentence that names where."""

    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.code} {self.sentence}"


class _Kind(NamedTuple):
    """What was found of many alike: how it is said of one, and of several."""

    code: str
    one: str
    several: str


class Findings:
    """Gathers what the parts of an audit find."""

    def __init__(self) -> None:
        self._alike: dict[_Kind, list[str]] = {}
        self._number: Counter[_Kind] = Counter()
        self.counts: Counter[str] = Counter(dict.fromkeys(ALWAYS, 0))
        self.violations: list[Violation] = []

    def count(self, name: str, number: int = 1) -> None:
        self.counts[name] += number

    def violate(self, code: str, sentence: str, count: str | None = None) -> None:
        """Record a violation; `count` names a count that grows with it."""
        self.counts["violations"] += 1
        if count is not None:
            self.counts[count] += 1
        if len(self.violations) < KEPT:
            self.violations.append(Violation(code=code, sentence=sentence))

    def gather(self, code: str, one: str, several: str, example: str) -> None:
        """One of several faults of a kind, which become one violation: `one` says it of
        `{example}`, `several` of `{number}`, with `{examples}`."""
        kind = _Kind(code, one, several)
        examples = self._alike.setdefault(kind, [])
        self._number[kind] += 1
        if len(examples) < _EXAMPLES:
            examples.append(example)

    def say_gathered(self) -> None:
        """Make violations of what was gathered."""
        for kind, examples in self._alike.items():
            number = self._number[kind]
            if number == 1:
                self.violate(kind.code, kind.one.format(example=examples[0]))
                continue
            named = ", ".join(examples) + (", …" if number > len(examples) else "")
            self.violate(kind.code, kind.several.format(number=number, examples=named))
        self._alike.clear()
        self._number.clear()


class Spans:
    """Ascending numbers as runs: memory does not grow with a run."""

    def __init__(self) -> None:
        self.total = 0
        self._runs: list[list[int]] = []

    def add(self, number: int) -> None:
        self.total += 1
        if self._runs and self._runs[-1][1] == number - 1:
            self._runs[-1][1] = number
        else:
            self._runs.append([number, number])

    def __str__(self) -> str:
        """In words: `0 to 19, 25`."""
        said = [f"{low} to {high}" if high > low else str(low) for low, high in self._runs]
        more = len(said) - _RUNS
        return ", ".join(said[:_RUNS]) + (f" and {more} more runs" if more > 0 else "")


def spans_of(numbers: list[int]) -> str:
    """Sorted numbers in words."""
    spans = Spans()
    for number in numbers:
        spans.add(number)
    return str(spans)
