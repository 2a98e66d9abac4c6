"""How alike texts are: ROUGE-L by characters (Lin 2004), of one text with all of a pool at once.

The longest common subsequence is found bit-parallel (Hyyrö 2004), and the texts of the pool stand
side by side in one long number. Knows no task.
"""

import struct
from collections import deque
from collections.abc import Iterable

_WIDTH = 64
_LONGEST = _WIDTH - 1
"""Characters of a text that are compared; the bit behind them catches what is carried over."""


class Likeness:
    """A pool of texts, oldest first."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._lengths: deque[int] = deque()
        self._places: dict[str, int] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        base = len(self._lengths) * _WIDTH
        for place, sign in enumerate(text[:_LONGEST]):
            self._places[sign] = self._places.get(sign, 0) | 1 << base + place
        self._lengths.append(len(text[:_LONGEST]))

    def drop(self) -> None:
        """Forget the oldest text."""
        self._lengths.popleft()
        self._places = {sign: bits >> _WIDTH for sign, bits in self._places.items()}

    def most(self, text: str) -> float:
        """The greatest ROUGE-L F of `text` with a text of the pool, from 0 to 1; 0 without any."""
        text, count = text[:_LONGEST], len(self._lengths)
        if not text or not count:
            return 0.0
        left = whole = _in_each((1 << _LONGEST) - 1, count)
        for sign in text:
            found = left & self._places.get(sign, 0)
            left = (left + found | left - found) & whole
        fields: tuple[int, ...] = struct.unpack(f"<{count}Q", left.to_bytes(8 * count, "little"))
        return max(
            2 * (_LONGEST - field.bit_count()) / (len(text) + length)
            for field, length in zip(fields, self._lengths, strict=True)
        )


def _in_each(field: int, count: int) -> int:
    return int.from_bytes(field.to_bytes(8, "little") * count, "little")
