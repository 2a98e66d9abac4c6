"""Programs that are made from seeds, so many lines each, with what every line does: what they give
is worked out here, for nobody but this file has written them. Knows no task."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

_Does = Callable[[Any, int, str, str], Any]
"""Of a value, a digit and two letters."""

_OPERATIONS: dict[str, tuple[tuple[str, str, _Does], ...]] = {
    "int": (
        ("x + {c}", "int", lambda x, c, a, b: x + c),
        ("x * {c}", "int", lambda x, c, a, b: x * c),
        ("x - {c}", "int", lambda x, c, a, b: x - c),
        ("abs(x - {c})", "int", lambda x, c, a, b: abs(x - c)),
        ("x // {c}", "int", lambda x, c, a, b: x // c),
        ("x % {c} + x", "int", lambda x, c, a, b: x % c + x),
        ("x * x", "int", lambda x, c, a, b: x * x),
        ("max(x, {c})", "int", lambda x, c, a, b: max(x, c)),
        ("str(x)", "str", lambda x, c, a, b: str(x)),
        ("[x, x + {c}]", "list", lambda x, c, a, b: [x, x + c]),
        ("list(range(x % {c}))", "list", lambda x, c, a, b: list(range(x % c))),
    ),
    "list": (
        ("sorted(x)", "list", lambda x, c, a, b: sorted(x)),
        ("x[::-1]", "list", lambda x, c, a, b: x[::-1]),
        ("[n + {c} for n in x]", "list", lambda x, c, a, b: [n + c for n in x]),
        ("[n * {c} for n in x]", "list", lambda x, c, a, b: [n * c for n in x]),
        ("[n for n in x if n % {c}]", "list", lambda x, c, a, b: [n for n in x if n % c]),
        ("x[1:]", "list", lambda x, c, a, b: x[1:]),
        ("x + x[:{c}]", "list", lambda x, c, a, b: x + x[:c]),
        ("sum(x)", "int", lambda x, c, a, b: sum(x)),
        ("sum(x) + len(x)", "int", lambda x, c, a, b: sum(x) + len(x)),
        ("max([{c}, *x])", "int", lambda x, c, a, b: max([c, *x])),
        ("sorted(set(x))", "list", lambda x, c, a, b: sorted(set(x))),
        ("''.join(str(n) for n in x)", "str", lambda x, c, a, b: "".join(str(n) for n in x)),
    ),
    "str": (
        ("x[::-1]", "str", lambda x, c, a, b: x[::-1]),
        ("x.upper()", "str", lambda x, c, a, b: x.upper()),
        ("x + x[:{c}]", "str", lambda x, c, a, b: x + x[:c]),
        ("x[{c}:] + x", "str", lambda x, c, a, b: x[c:] + x),
        ("''.join(sorted(x))", "str", lambda x, c, a, b: "".join(sorted(x))),
        ("x.replace('{a}', '{b}')", "str", lambda x, c, a, b: x.replace(a, b)),
        ("x * 2", "str", lambda x, c, a, b: x * 2),
        ("len(x) + {c}", "int", lambda x, c, a, b: len(x) + c),
        ("x.count('{a}') + len(x)", "int", lambda x, c, a, b: x.count(a) + len(x)),
        ("[ord(n) % {c} for n in x]", "list", lambda x, c, a, b: [ord(n) % c for n in x]),
        ("'{a}' + x", "str", lambda x, c, a, b: a + x),
    ),
}
_LETTERS = "abcdeo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A program, a value to call it with, and what it does with any value of that type."""

    program: str
    argument: Any
    does: Callable[[Any], Any]


def draw_program(lines: int, random: Random) -> Drawn:
    """A program of so many lines below its first."""
    kind = random.choice(sorted(_OPERATIONS))
    argument = _value(kind, random)
    body: list[str] = []
    steps: list[tuple[_Does, int, str, str]] = []
    for left in range(lines, 0, -1):
        template, kind, does = random.choice(_OPERATIONS[kind])
        c, (a, b) = random.randint(2, 9), random.sample(_LETTERS, 2)
        body.append(f"    {'return' if left == 1 else 'x ='} {template.format(c=c, a=a, b=b)}")
        steps.append((does, c, a, b))

    def all_of(value: Any) -> Any:
        for does, c, a, b in steps:
            value = does(value, c, a, b)
        return value

    return Drawn(program="\n".join(["def f(x):", *body]), argument=argument, does=all_of)


def _value(kind: str, random: Random) -> Any:
    if kind == "int":
        return random.randint(2, 60)
    if kind == "list":
        return [random.randint(0, 20) for _ in range(random.randint(3, 6))]
    return "".join(random.choices(_LETTERS, k=random.randint(3, 7)))
