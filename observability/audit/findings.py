"""What an audit has found: counts, and violations with the code of the invariant they break.
Knows no log and no checkpoint.

    I1 nothing lost           I3 the chain of versions       I5 positions and the log itself
    I2 nothing twice          I4 one trainer at a time       I7 dead letters
    I11 no attempt staler than the recipe allows
"""

from collections import Counter
from dataclasses import dataclass

KEPT = 1000
"""More violations than this are counted, not kept."""

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


class Findings:
    """Gathers what the parts of an audit find."""

    def __init__(self) -> None:
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
