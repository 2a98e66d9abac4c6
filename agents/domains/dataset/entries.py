"""Prompts with their answers, out of rows, and which of them are held out. Knows no file's form."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.domains.dataset.reading import Row
from agents.domains.dataset.scoring import Scorer, is_right, number_in

MAX_TEXT = 65_536
"""Bytes of a prompt, and of an answer."""
MAX_LEVEL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One prompt of the data. `answers` are all that are accepted, none where nobody knows;
    `level` is None where the data says nothing of it."""

    prompt: str
    answers: tuple[str, ...]
    family: str
    level: int | None
    place: str

    @property
    def key(self) -> str:
        """The same for prompts that differ in case and white space alone."""
        return " ".join(self.prompt.split()).casefold()

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.answers[0] if self.answers else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where a row has what: names of columns, "" for none. With `unlabeled` a row may lack its
    answer."""

    prompt: str
    answer: str
    family: str
    level: str
    unlabeled: bool
    scorer: Scorer
    tolerance: float

    def entries(self, rows: Iterable[Row]) -> list[Entry]:
        """Each prompt once. Raises `ValueError` with the place of what is wrong."""
        found: dict[str, Entry] = {}
        for row in rows:
            entry = self._entry(row)
            known = found.setdefault(entry.prompt, entry)
            if known is not entry:
                found[entry.prompt] = self._one(known, entry)
        return list(found.values())

    def _one(self, known: Entry, again: Entry) -> Entry:
        """Of two that ask the same."""
        if not known.answers:
            return replace(known, answers=again.answers)
        if self.scorer == "one_of":
            return replace(known, answers=tuple(dict.fromkeys(known.answers + again.answers)))
        if all(
            is_right(known.answers, answer, self.scorer, self.tolerance) for answer in again.answers
        ):
            return known
        raise ValueError(
            f"{again.place} answers the prompt of {known.place} otherwise: keep one of them, or "
            "let domain.scorer be one_of, which accepts both"
        )

    def _entry(self, row: Row) -> Entry:
        prompt = _text(row, self.prompt, "prompt")
        return Entry(
            prompt=prompt,
            answers=self._answers(row),
            family=_text(row, self.family, "family").strip() if self.family else "all",
            level=_level(row, self.level) if self.level else None,
            place=row.place,
        )

    def _answers(self, row: Row) -> tuple[str, ...]:
        value = row.fields.get(self.answer)
        if self.unlabeled and value in (None, "", []):
            return ()
        if isinstance(value, list) and self.scorer != "one_of":
            raise ValueError(
                f"{row.place} has several answers: let domain.scorer be one_of, which accepts each"
            )
        if not isinstance(value, list):
            return (self._known(_text(row, self.answer, "answer"), row.place),)
        if not value:
            raise ValueError(f"{row.place} has no answer in {self.answer!r}: give it one")
        texts = (_text(Row(place=row.place, fields={"": each}), "", "answer") for each in value)
        return tuple(dict.fromkeys(texts))

    def _known(self, answer: str, place: str) -> str:
        if self.scorer == "numeric" and number_in(answer) is None:
            raise ValueError(
                f"{place} has the answer {answer[:40]!r}, in which scorer numeric finds no number"
            )
        return answer


def split(entries: Sequence[Entry], share: float, seed: int) -> tuple[list[Entry], list[Entry]]:
    """Those to ask and those held out, by a hash of the prompt alone: prompts that differ in case
    and white space stay on one side, whatever else is in the data."""
    kept = {id(entry) for entry in entries if drawn(entry, seed) < share}
    asked = [entry for entry in entries if id(entry) not in kept]
    return asked, [entry for entry in entries if id(entry) in kept]


def drawn(entry: Entry, seed: int) -> float:
    """A number from 0 to 1 that follows from the seed and the prompt."""
    digest = hashlib.sha256(f"{seed}\n{entry.key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _text(row: Row, column: str, field: str) -> str:
    value = row.fields.get(column)
    if value is None:
        there = ", ".join(map(repr, list(row.fields)[:8]))
        more = ", or set domain.unlabeled = true" if field == "answer" else ""
        raise ValueError(
            f"{row.place} has no {column!r}, it has {there or 'nothing'}: name the column in "
            f"domain.{field}{more}"
        )
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{row.place}: {column!r} is neither text nor a number")
    if not value.strip():
        raise ValueError(f"{row.place}: {column!r} is empty: fill it or take the row out")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{row.place}: {column!r} has half a character in it") from None
    if size > MAX_TEXT:
        raise ValueError(f"{row.place}: {column!r} has {size:,} bytes, at most {MAX_TEXT:,} may be")
    return value


def _level(row: Row, column: str) -> int:
    value: Any = row.fields.get(column)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LEVEL:
        raise ValueError(
            f"{row.place}: the level {value!r} in {column!r} is no whole number from 1 to "
            f"{MAX_LEVEL:,}: name the column in domain.level"
        )
    return value
