"""Values as one line, and the Python literals that write them: nothing here is ever evaluated."""

import ast
import warnings
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
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise NoValue from None
    line_of(value)
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
