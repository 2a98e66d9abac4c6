"""Values as one line, and the Python literals that write them: nothing here is ever evaluated."""

import ast
import json
import warnings
from math import isfinite
from typing import Any

from agents.sandbox.inside import MOST_CHARACTERS, written


class NoValue(Exception):
    """No plain value: not written as a literal, or too large."""


def line_of(value: Any) -> str:
    """A value as one line; raises `NoValue`."""
    try:
        line: str = written(value)
    except (ValueError, RecursionError):
        raise NoValue from None
    return line


def value_of(text: str) -> Any:
    """The plain value that a text writes as a Python literal, such as `[1, 'a']`; raises
    `NoValue`."""
    if len(text) > MOST_CHARACTERS:
        raise NoValue
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text.strip(" \n"))
        marks = line_of(value).count("#")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise NoValue from None
    # What stands behind a value as a comment is no part of it.
    if text.count("#") != marks:
        raise NoValue
    return value


def arguments_of(text: str) -> tuple[Any, ...]:
    """The values of what stands between the brackets of a call, such as `3, 'ab'`; raises
    `NoValue`."""
    if not text.strip(" \n"):
        return ()
    bare = text.strip(" \n").removesuffix(",")
    value = value_of(f"({bare},)")
    if not isinstance(value, tuple):
        raise NoValue
    return value


def literal_of(line: str) -> str:
    """A line as the Python literal that writes its value; raises `NoValue` for what no literal
    writes: `nan`, infinities, an empty set, a frozenset."""
    return _literal(json.loads(line))


def _literal(parsed: Any) -> str:
    if not isinstance(parsed, list):
        return repr(parsed)
    kind, *parts = parsed
    if kind == "int" or (kind == "float" and isfinite(float(parts[0]))):
        return str(parts[0])
    if kind == "bytes":
        return repr(bytes.fromhex(parts[0]))
    if kind == "dict":
        return "{" + ", ".join(f"{_literal(key)}: {_literal(one)}" for key, one in parts) + "}"
    if kind not in ("list", "tuple", "set") or (kind == "set" and not parts):
        raise NoValue
    before, after = {"list": ("[", "]"), "tuple": ("(", ")"), "set": ("{", "}")}[kind]
    inner = ", ".join(map(_literal, parts))
    return before + inner + ("," if kind == "tuple" and len(parts) == 1 else "") + after
