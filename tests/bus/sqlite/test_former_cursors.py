"""Cursors as files of schema 1 hold them: every kind is read, a damaged one is refused."""

import zlib
from base64 import b85encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.cursor import MAGIC, Cursor
from bus.sqlite.former import decode


def text_of(kind: bytes, span: bytes, payload: bytes) -> str:
    return b85encode(bytes([MAGIC]) + kind + span + payload).decode()


def bitmap_of(done: set[int]) -> bytes:
    """Bit i for offset base + 1 + i."""
    number = sum(1 << offset - 1 for offset in done)
    return number.to_bytes((max(done) + 7) // 8, "little")


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])


@given(st.integers(0, 10**12), st.sets(st.integers(1, 2000), min_size=1))
def test_every_kind_is_read(base: int, done: set[int]) -> None:
    cursor = Cursor(base, Cursor(base).advance(base + offset + 1 for offset in done).runs)
    beyond = {offset + 1 for offset in done}
    bitmap, span = bitmap_of(beyond), varint(max(beyond))
    assert decode(text_of(b"B", span, bitmap), base) == cursor
    assert decode(text_of(b"Z", span, zlib.compress(bitmap)), base) == cursor
    assert decode(cursor.encode(), base) == cursor
    assert decode("", base) == decode("hello", base) == Cursor(base)


@given(st.binary(max_size=60), st.sampled_from([b"R", b"B", b"Z", b"Q"]))
def test_a_damaged_text_is_refused_or_read_strictly(body: bytes, kind: bytes) -> None:
    try:
        cursor = decode(text_of(kind, b"", body), 5)
    except ValueError:
        return
    assert cursor.base == 5
    assert decode(cursor.encode(), 5) == cursor


def test_a_compression_bomb_is_bounded() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(ValueError, match="damaged"):
        decode(text_of(b"Z", b"\x20", bomb), 0)
