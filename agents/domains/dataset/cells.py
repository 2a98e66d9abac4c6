"""The problems of a data set by family and level. Knows no file and no scorer."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agents.domains.dataset.entries import Entry
from agents.domains.dataset.scoring import ACCEPTED
from agents.domains.domain import Problem

MAX_CELLS = 1_000


class Cells:
    """Of the entries that are asked and those held out, each in its order. Where they have no level
    it is one of `by_length` parts by the length of prompt and answer. Raises `ValueError` where
    there is nothing to ask or to hold out."""

    def __init__(
        self, asked: Sequence[Entry], held_out: Sequence[Entry], by_length: int, where: str
    ) -> None:
        if not asked:
            raise ValueError(f"all prompts of {where} are held out: lower domain.held_out")
        if not held_out:
            raise ValueError(
                f"none of the {len(asked)} prompts of {where} is held out: raise domain.held_out, "
                "or name a file of others in domain.held_out_path"
            )
        self._edges = _edges(asked, by_length)
        self._asked, self._held_out = self._sorted(asked), self._sorted(held_out)
        self.families = sorted({family for family, _ in self._asked})
        self.levels = sorted({level for _, level in (*self._asked, *self._held_out)})
        self._levels_of = {
            family: [level for of, level in self._asked if of == family] for family in self.families
        }
        if lonely := [entry for entry in held_out if entry.family not in self.families]:
            raise ValueError(
                f"{lonely[0].place}: all prompts of the family {lonely[0].family!r} are held out: "
                "add some to ask, or take it out"
            )
        if (cells := len(self.families) * len(self.levels)) > MAX_CELLS:
            raise ValueError(
                f"{len(self.families)} families with {len(self.levels)} levels are {cells:,} cells "
                f"to ask from, {MAX_CELLS:,} may be: choose coarser columns"
            )

    def asked(self, family: str, level: int) -> list[Problem]:
        """Where a family lacks a level, those of its nearest one."""
        there = self._levels_of[family]
        return self._asked[family, min(there, key=lambda known: (abs(known - level), known))]

    def held_out(self, family: str, level: int) -> list[Problem]:
        return self._held_out.get((family, level), [])

    def of_level(self, level: int) -> Iterator[Problem]:
        """All that may be asked of a level, in any family, held out or not."""
        for family in self.families:
            yield from self.asked(family, level)
            yield from self.held_out(family, level)

    def all_asked(self) -> Iterator[Problem]:
        return (problem for cell in self._asked.values() for problem in cell)

    def all_held_out(self) -> Iterator[Problem]:
        return (problem for cell in self._held_out.values() for problem in cell)

    def _sorted(self, entries: Sequence[Entry]) -> dict[tuple[str, int], list[Problem]]:
        cells: dict[tuple[str, int], list[Problem]] = {}
        for entry in entries:
            level = entry.level
            if level is None:
                level = 1 + bisect_left(self._edges, entry.length)
            cells.setdefault((entry.family, level), []).append(_problem(entry, level))
        return cells


def as_of(problem: Problem, level: int) -> Problem:
    """The same problem, asked as one of another level."""
    return problem if problem.level == level else replace(problem, level=level)


def _problem(entry: Entry, level: int) -> Problem:
    answer, *others = entry.answers or ("",)
    return Problem(
        family=entry.family,
        level=level,
        prompt=entry.prompt,
        question=entry.prompt,
        answer=answer,
        metadata={ACCEPTED: [answer, *others]} if others else {},
    )


def _edges(entries: Sequence[Entry], parts: int) -> list[int]:
    """The lengths at which one level ends and the next begins, so that each has about as many."""
    lengths = sorted(entry.length for entry in entries)
    return sorted({lengths[len(lengths) * part // parts] for part in range(1, parts)})
