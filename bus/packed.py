"""Arrays inside JSON: little-endian bytes in base64, so that 4,096 tokens with
log-probabilities take 44 KB instead of 117 KB. Knows no event and no tensor library.
"""

import base64
import binascii
from array import array
from collections.abc import Iterable
from sys import byteorder
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SCHEMA = {"type": "string", "contentEncoding": "base64"}


def _pack(values: Iterable[int | float], code: str) -> str:
    packed = array(code, values)
    if byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode("ascii")


def _unpack(value: Any, code: str) -> Any:
    if not isinstance(value, str):
        return value
    packed = array(code)
    try:
        packed.frombytes(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not a packed array: {error}") from None
    if byteorder == "big":
        packed.byteswap()
    return tuple(packed)


PackedTokens = Annotated[
    tuple[int, ...],
    BeforeValidator(lambda value: _unpack(value, "i")),
    PlainSerializer(lambda value: _pack(value, "i"), when_used="json"),
    WithJsonSchema({**_SCHEMA, "description": "token ids, int32 little-endian, base64"}),
]
"""Token ids: a tuple of int in Python, int32 little-endian base64 in JSON."""

PackedLogprobs = Annotated[
    tuple[float, ...],
    BeforeValidator(lambda value: _unpack(value, "f")),
    PlainSerializer(lambda value: _pack(value, "f"), when_used="json"),
    WithJsonSchema({**_SCHEMA, "description": "log-probabilities, float32 little-endian, base64"}),
]
"""Log-probabilities in nats: a tuple of float, float32 little-endian base64 in JSON."""
