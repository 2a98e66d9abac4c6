"""How far a group has come on one partition: every offset below `base`, and runs beyond it.

The text form carries the runs alone; the base is kept beside it, as an integer. So it fits the
4,096 characters that Kafka allows as the metadata of a committed offset:

    base85( magic | kind | varint(highest - base) | payload )

with kind R (run lengths: gap, length, gap, length, ...), B (bitmap) or Z (bitmap through zlib),
whichever is shortest. Knows no transport.
"""

import base64
import binascii
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

Run = tuple[int, int]
"""Offsets [start, end)."""

MAGIC = 0xE1
MAX_CHARACTERS = 1 << 20
MAX_BITMAP_SPAN = 1 << 23
SHORT = 64
"""Run lengths of so few bytes are not worth a look at the other kinds."""


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
        fresh = sorted({offset for offset in offsets if offset >= self.base})
        if not fresh:
            return self
        base, runs = self.base, self.runs
        added = list(_runs_of(fresh))
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
        kind, payload = b"R", self._lengths()
        if len(payload) > SHORT and span <= MAX_BITMAP_SPAN:
            bitmap = self._bitmap(span)
            packed = zlib.compress(bitmap, 6)
            kind, payload = min(
                (kind, payload), (b"B", bitmap), (b"Z", packed), key=lambda pair: len(pair[1])
            )
        return base64.b85encode(bytes([MAGIC]) + kind + _varint(span) + payload).decode("ascii")

    @classmethod
    def decode(cls, text: str, base: int = 0) -> Self:
        """The cursor at `base` with the runs of `text`.

        A text of another make has no runs: work is repeated, never skipped. Raises `ValueError`
        for a text of this make that is damaged.
        """
        try:
            raw = base64.b85decode(text[:MAX_CHARACTERS])
        except (binascii.Error, ValueError):
            return cls(base)
        if not raw or raw[0] != MAGIC:
            return cls(base)
        if len(text) > MAX_CHARACTERS or len(raw) < 3:
            raise ValueError("a cursor of a wrong length")
        span, at = _read_varint(raw, 2)
        kind, payload = raw[1:2], raw[at:]
        if kind == b"R":
            return cls(base, _from_lengths(payload, base, span))
        if kind in (b"B", b"Z") and 0 < span <= MAX_BITMAP_SPAN:
            bitmap = payload if kind == b"B" else _inflate(payload, (span + 7) // 8)
            return cls(base, _from_bitmap(bitmap, base, span))
        raise ValueError("a cursor of an unknown kind")

    def _lengths(self) -> bytes:
        payload, at = bytearray(), self.base
        for start, end in self.runs:
            payload += _varint(start - at) + _varint(end - start)
            at = end
        return bytes(payload)

    def _bitmap(self, span: int) -> bytes:
        digits, at = [], self.base + 1
        for start, end in self.runs:
            digits.append("0" * (start - at) + "1" * (end - start))
            at = end
        return int("".join(digits)[::-1], 2).to_bytes((span + 7) // 8, "little")


def _start(run: Run) -> int:
    return run[0]


def _runs_of(offsets: list[int]) -> Iterator[Run]:
    """The runs of sorted, distinct offsets."""
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


def _inflate(payload: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        bitmap = inflater.decompress(payload, size + 1)
    except zlib.error as error:
        raise ValueError(f"a cursor with a damaged bitmap: {error}") from None
    if not inflater.eof or inflater.unused_data:
        raise ValueError("a cursor with a damaged bitmap")
    return bitmap


def _from_bitmap(bitmap: bytes, base: int, span: int) -> tuple[Run, ...]:
    """Bit i stands for offset base + 1 + i; the last bit is set."""
    number = int.from_bytes(bitmap, "little")
    if len(bitmap) != (span + 7) // 8 or number.bit_length() != span:
        raise ValueError("a cursor with a damaged bitmap")
    digits = f"{number:b}"[::-1]
    runs, at = [], digits.find("1")
    while at >= 0:
        end = digits.find("0", at)
        end = len(digits) if end < 0 else end
        runs.append((base + 1 + at, base + 1 + end))
        at = digits.find("1", end)
    return tuple(runs)
