"""What stands around a program in the sandbox, read there as text; out here values are written by
the same lines, so nothing is used that monty has not.

A value is one line of JSON, and equal lines are equal values of equal types. `null`, `true`,
`false` and texts are themselves; all else names its type: `["int","3"]`, `["float","-0.0"]`,
`["list",...]`, `["tuple",...]`, `["bytes","6162"]`, and, in the order of what is written,
`["set",...]`, `["frozenset",...]` and `["dict",[key,value],...]`.
"""

import json
from typing import Any

MOST_CHARACTERS = 4_000
MOST_PARTS = 1_000
MOST_DEEP = 24
MOST_DIGITS = 300

NAMES: Any = {
    **{int: "int", float: "float", bytes: "bytes", list: "list", tuple: "tuple"},
    **{set: "set", frozenset: "frozenset", dict: "dict"},
}


def written(
    value: Any,
    dumps: Any = json.dumps,
    type: Any = type,
    str: Any = str,
    repr: Any = repr,
    len: Any = len,
    sorted: Any = sorted,
    int: Any = int,
) -> Any:
    """The line of a value; raises ValueError for what is too large or no plain data. It uses
    nothing but its own, so that no program can put something else in its place."""
    left = [MOST_PARTS]

    def short(text: Any) -> Any:
        if len(text) > MOST_CHARACTERS:
            raise ValueError("too large")
        return text

    def text_line(text: Any) -> Any:
        # Where monty reads half of a surrogate pair, it reads U+FFFD.
        if "\ufffd" in short(text).encode().decode():
            raise ValueError("no plain data")
        return dumps(text)

    def atom(value: Any, kind: Any) -> Any:
        if kind is bytes:
            return short(value).hex()
        if kind is int and not -(10**MOST_DIGITS) < value < 10**MOST_DIGITS:
            raise ValueError("too large")
        return repr(value)

    def line(value: Any, deep: Any) -> Any:
        left[0] -= 1
        if left[0] < 0 or deep > MOST_DEEP:
            raise ValueError("too large")
        kind = type(value)
        if value is None or kind is bool:
            return dumps(value)
        if kind is str:
            return text_line(value)
        if kind not in NAMES:
            raise ValueError("no plain data")
        if kind in (int, float, bytes):
            parts = [dumps(atom(value, kind))]
        elif kind is dict:
            parts = [f"[{line(key, deep + 1)},{line(one, deep + 1)}]" for key, one in value.items()]
        else:
            parts = [line(one, deep + 1) for one in value]
        if kind in (dict, set, frozenset):
            parts = sorted(parts)
        return short("[" + ",".join([f'"{NAMES[kind]}"', *parts]) + "]")

    return short(line(value, 0))


def ran(source: Any, name: Any, arguments: Any, written: Any = written) -> Any:
    """The line of what the function `name` of a program gives. Only a text leaves the sandbox: a
    value that holds another a thousand times, and that one others, would fill the memory of whoever
    takes it."""
    names: dict[str, Any] = {}
    exec(source, names)
    return written(names[name](*arguments))


def each_ran(source: Any, name: Any, cases: Any) -> Any:
    """The same of many arguments, a line each, of nothing where there is no value. The program
    begins anew with every one."""
    lines = []
    for arguments in cases:
        try:
            lines.append(ran(source, name, arguments))
        except Exception:
            lines.append("")
    return "\n".join(lines)
