"""What only files of schema 1 hold: cursors as bitmaps, plain (B) or through zlib (Z), beside the
run lengths of today. Knows no table.
"""

import zlib

from bus.cursor import Cursor, Run, parts_of

MAX_BITMAP_SPAN = 1 << 23


def decode(text: str, base: int) -> Cursor:
    """The cursor of a text of any kind; raises `ValueError` for one that is damaged."""
    parts = parts_of(text)
    if parts is None or parts[0] not in (b"B", b"Z"):
        return Cursor.decode(text, base)
    kind, span, payload = parts
    if not 0 < span <= MAX_BITMAP_SPAN:
        raise ValueError("a cursor with a damaged bitmap")
    bitmap = payload if kind == b"B" else _inflate(payload, (span + 7) // 8)
    return Cursor(base, _from_bitmap(bitmap, base, span))


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
