"""Tasks made of programs that run: of one that a model wrote the sandbox alone says what it gives.
Knows no level's bounds and no held-out suite."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any

from agents.domains.domain import NotATask, Problem
from agents.domains.python_programs.drawing import Drawn
from agents.domains.python_programs.texts import (
    MOST_INPUT,
    MOST_OUTPUT,
    Written,
    question,
)
from agents.sandbox.sandbox import Sandbox
from agents.sandbox.values import NoValue, arguments_of, line_of, literal_of

SHOWN, HELD_BACK = 3, 5
"""Calls of an induction that the model reads, and those that judge its program besides."""

PROPOSED_SECONDS = 0.25
"""What a task may take: answers to it have more, so that a slow machine judges alike."""

_NEIGHBOURS = 12

Arguments = tuple[Any, ...]
Runs = Callable[[Sequence[Arguments]], list[str | None]]
"""The line that a program gives for each of many arguments, None where it gives none."""


def proposed(written: Written, sandbox: Sandbox) -> Problem:
    """The problem of a task that a model wrote, run twice; raises `NotATask`."""
    try:
        arguments = arguments_of(written.call)
    except NoValue:
        raise NotATask("unparseable") from None
    ran = sandbox.run_twice(written.program, arguments, PROPOSED_SECONDS)
    if ran.line is None:
        raise NotATask(_REASONS.get(ran.reason.partition(":")[0], "does not run"))
    return problem_of(
        written, arguments, ran.line, lambda cases: sandbox.run_each(written.program, cases)
    )


def drawn(family: str, made: Drawn) -> Problem:
    """The problem of a program that was made here; raises `NotATask`."""
    call = _call((made.argument,))
    written = Written(family=family, program=made.program, call=call)
    [line] = _worked_out(made, [(made.argument,)])
    if line is None:
        raise NotATask("out of range")
    return problem_of(written, (made.argument,), line, lambda cases: _worked_out(made, cases))


def problem_of(written: Written, arguments: Arguments, line: str, runs: Runs) -> Problem:
    """The problem of a program that gives `line` for `arguments`; raises `NotATask` where no
    literal writes that, or it gives the same whatever it is called with, or just what that is."""
    pairs = _pairs(written, arguments, line, runs)
    try:
        shown = [(call, literal_of(one)) for call, one in pairs[:SHOWN]]
        output = literal_of(line)
    except NoValue:
        raise NotATask("out of range") from None
    if max(len(literal) for _, literal in [*shown, ("", output)]) > MOST_OUTPUT:
        raise NotATask("out of range")
    answers = {"deduction": output, "abduction": written.call, "induction": written.program}
    asked = question(written, output, shown)
    return Problem(
        family=written.family,
        level=written.level,
        prompt=asked,
        question=asked,
        answer=answers[written.family],
        metadata=_known(written, line, pairs),
    )


_REASONS = {
    "no Python": "unparseable",
    "unsupported": "unsupported",
    "not deterministic": "not deterministic",
    "too large": "out of range",
    "no plain data": "out of range",
}


def written_of(problem: Problem) -> Written:
    """The written task of a problem."""
    known = problem.metadata
    return Written(family=problem.family, program=known["program"], call=known["call"])


def _known(written: Written, line: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    known: dict[str, Any] = {"program": written.program, "call": written.call, "output": line}
    if written.family == "induction":
        known["shown"] = [list(pair) for pair in pairs[:SHOWN]]
        known["held_back"] = [list(pair) for pair in pairs[SHOWN:]]
    return known


def _pairs(written: Written, arguments: Arguments, line: str, runs: Runs) -> list[tuple[str, str]]:
    """The call, and others that follow from it, each with the line of what it returns."""
    random = Random(f"python programs {written.program} {written.call}")
    others: dict[str, Arguments] = {}
    for _ in range(2 * _NEIGHBOURS if arguments else 0):
        other = tuple(_near(argument, random) for argument in arguments)
        others.setdefault(line_of(other), other)
    others.pop(line_of(arguments), None)
    cases = list(others.values())[:_NEIGHBOURS]
    lines = runs(cases)
    found = [(case, one) for case, one in zip(cases, lines, strict=True) if one is not None]
    whole = [(arguments, line), *found]
    if len({one for _, one in whole}) == 1 or all(_is_echo(*each) for each in whole):
        raise NotATask("trivial")
    calls = ((_call(case), one) for case, one in found)
    fit = ((call, one) for call, one in calls if len(call) <= MOST_INPUT)
    others_shown = list(islice(fit, SHOWN + HELD_BACK - 1))
    if len(others_shown) < SHOWN + HELD_BACK - 1:
        raise NotATask("out of range")
    return [(written.call, line), *others_shown]


def _worked_out(made: Drawn, cases: Sequence[Arguments]) -> list[str | None]:
    lines: list[str | None] = []
    for [value] in cases:
        try:
            lines.append(line_of(made.does(value)))
        except NoValue:
            lines.append(None)
    return lines


def _is_echo(arguments: Arguments, line: str) -> bool:
    return any(line_of(argument) == line for argument in arguments)


def _call(arguments: Arguments) -> str:
    return ", ".join(literal_of(line_of(argument)) for argument in arguments)


def _near(value: Any, random: Random) -> Any:
    """A value of the same type, not far from this one."""
    kind = type(value)
    if kind is bool:
        return random.random() < 0.5
    if kind is int:
        return value + random.randint(-abs(value) // 2 - 3, abs(value) // 2 + 3)
    if kind is float:
        return round(value + random.uniform(-2, 2), 2)
    if kind is str:
        return "".join(_shuffled(value or "ab", random))
    if kind in (list, tuple):
        return kind(_near(one, random) for one in _shuffled(value or [1, 2], random))
    if kind is dict:
        return {key: _near(one, random) for key, one in value.items()}
    if kind is set:
        return {*value, *(_near(one, random) for one in sorted(value, key=repr))}
    return value


def _shuffled(items: Any, random: Random) -> Iterator[Any]:
    """The items in another order, one more or one less."""
    mixed = list(items)
    random.shuffle(mixed)
    change = random.randrange(3)
    if change == 0 and len(mixed) > 1:
        mixed.pop()
    elif change == 1:
        mixed.append(random.choice(mixed))
    return iter(mixed)
