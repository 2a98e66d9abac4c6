"""How far a group has come on one partition: every offset below `base`, and runs beyond it.

The text form carries the runs alone, the base is kept beside it as an integer:

    base85( magic | R | varint(highest - base) | gap, length, gap, length, ... as varints )

Knows no transport.
"""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

Run = tuple[int, int]
"""Offsets [start, end)."""

MAGIC = 0xE1
MAX_CHARACTERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Cursor:
    """Offsets below `base` are done, and those in `runs`: sorted, apart, all beyond `base`."""

    base: int = 0
    runs: tuple[Run, ...] = ()

    @property
    def num_done(self) -> int:
        """How many offsets beyond `base` are done."""
        return sum(end - start for start, end in self.runs)

    @property
    def done(self) -> frozenset[int]:
        """The offsets done beyond `base`."""
        return frozenset(offset for start, end in self.runs for offset in range(start, end))

    def is_done(self, offset: int) -> bool:
        return self.first_open(offset) != offset

    def first_open(self, offset: int) -> int:
        """The lowest offset from `offset` on that is not done."""
        offset = max(offset, self.base)
        at = bisect_right(self.runs, offset, key=_start) - 1
        return max(offset, self.runs[at][1]) if at >= 0 else offset

    def advance(self, offsets: Iterable[int]) -> "Cursor":
        """This cursor with `offsets` done too; those already done change nothing."""
        base, runs = self.base, self.runs
        if isinstance(offsets, range) and offsets.step == 1:
            start, end = max(offsets.start, base), offsets.stop
            added = [(start, end)] if start < end else []
        else:
            added = list(_runs_of(sorted({offset for offset in offsets if offset >= base})))
        if not added:
            return self
        if not runs and len(added) == 1:
            start, end = added[0]
            return Cursor(end) if start == base else Cursor(base, (added[0],))
        low = max(bisect_right(runs, added[0][0], key=_start) - 1, 0)
        high = bisect_right(runs, added[-1][1], key=_start)
        merged = _merge(sorted((*runs[low:high], *added)))
        if low == 0 and merged[0][0] == base:
            base = merged.pop(0)[1]
        return Cursor(base, (*runs[:low], *merged, *runs[high:]))

    def encode(self) -> str:
        """The runs as text; empty when there are none."""
        if not self.runs:
            return ""
        span = self.runs[-1][1] - 1 - self.base
        raw = bytes([MAGIC]) + b"R" + _varint(span) + self._lengths()
        return base64.b85encode(raw).decode("ascii")

    @classmethod
    def decode(cls, text: str, base: int = 0) -> Self:
        """The cursor at `base` with the runs of `text`.

        A text of another make has no runs: work is repeated, never skipped. Raises `ValueError`
        for a text of this make that is damaged.
        """
        parts = parts_of(text)
        if parts is None:
            return cls(base)
        kind, span, payload = parts
        if kind != b"R":
            raise ValueError("a cursor of an unknown kind")
        return cls(base, _from_lengths(payload, base, span))

    def _lengths(self) -> bytes:
        payload, at = bytearray(), self.base
        for start, end in self.runs:
            payload += _varint(start - at) + _varint(end - start)
            at = end
        return bytes(payload)


def parts_of(text: str) -> tuple[bytes, int, bytes] | None:
    """Kind, span and payload of a text; None for one of another make. Raises `ValueError`."""
    try:
        raw = base64.b85decode(text[:MAX_CHARACTERS])
    except (binascii.Error, ValueError):
        return None
    if not raw or raw[0] != MAGIC:
        return None
    if len(text) > MAX_CHARACTERS or len(raw) < 3:
        raise ValueError("a cursor of a wrong length")
    span, at = _read_varint(raw, 2)
    return raw[1:2], span, raw[at:]


def _start(run: Run) -> int:
    return run[0]


def _runs_of(offsets: list[int]) -> Iterator[Run]:
    """The runs of sorted, distinct offsets."""
    if not offsets:
        return
    if offsets[-1] - offsets[0] == len(offsets) - 1:
        yield offsets[0], offsets[-1] + 1
        return
    start = previous = offsets[0]
    for offset in offsets[1:]:
        if offset != previous + 1:
            yield start, previous + 1
            start = offset
        previous = offset
    yield start, previous + 1


def _merge(runs: list[Run]) -> list[Run]:
    merged = runs[:1]
    for start, end in runs[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends; at most 63 bits."""
    number = 0
    for shift in range(0, 63, 7):
        if at >= len(raw):
            break
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            if byte == 0 and shift:
                break
            return number, at
    raise ValueError("a cursor with a damaged number")


def _from_lengths(payload: bytes, base: int, span: int) -> tuple[Run, ...]:
    runs, at, end = [], 0, base
    while at < len(payload):
        gap, at = _read_varint(payload, at)
        length, at = _read_varint(payload, at)
        if gap < 1 or length < 1 or end + gap + length - 1 - base > span:
            raise ValueError("a cursor with a damaged run")
        runs.append((end + gap, end + gap + length))
        end += gap + length
    if not runs or end - 1 - base != span:
        raise ValueError("a cursor with damaged runs")
    return tuple(runs)
