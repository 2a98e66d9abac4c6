"""The three families of tasks about a program and a value: deduce the output, find an input, find
the program. Knows no level's bounds and no held-out suite."""

import re
from random import Random
from typing import Any

from agents.domains.domain import NotATask, Problem
from agents.domains.programs.language import MAX_PROGRAM, in_words, is_program, run
from agents.domains.strings import MARK, draw_digits

LETTERS: dict[str, str] = {"deduction": "d", "abduction": "a", "induction": "i"}
FAMILIES = {letter: family for family, letter in LETTERS.items()}

MAX_DIGITS = 9
"""Digits of the longest input."""

MAX_OUTPUT = 16
"""Digits of the longest output that is asked about."""

STEP = ";"
"""Stands between the steps of a rationale: what is left to run and the value it is left with."""

SHOWN, HELD_BACK = 3, 5
"""Examples of an induction that the model reads, and those that judge its program besides."""

_DRAWS = 200
_WRITTEN = re.compile(r"([a-z])([a-z]+):([0-9]+)")
_ABDUCTION = re.compile(
    rf"a([a-z]{{1,{MAX_PROGRAM}}})=([0-9]{{1,{MAX_OUTPUT}}}),([1-{MAX_DIGITS}])"
)
_EXAMPLE = rf"[0-9]{{1,{MAX_DIGITS}}}:[0-9]{{1,{MAX_OUTPUT}}}"
_INDUCTION = re.compile(rf"i([1-{MAX_PROGRAM}]),({_EXAMPLE}(?:;{_EXAMPLE}){{0,7}})")


def parsed(text: str) -> tuple[str, str, str]:
    """Family, program and input of a written task, such as `drs:3142`; raises `NotATask`."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise NotATask("unparseable")
    letter, program, value = found.groups()
    if letter not in FAMILIES:
        raise NotATask("unknown family")
    if len(program) > MAX_PROGRAM or len(value) > MAX_DIGITS:
        raise NotATask("out of range")
    if not is_program(program):
        raise NotATask("unparseable")
    return FAMILIES[letter], program, value


def written(problem: Problem) -> str:
    """The text of a task, of which `parsed` makes its family, program and input."""
    known = problem.metadata
    return f"{LETTERS[problem.family]}{known['program']}:{known['input']}"


def make_problem(
    family: str, program: str, value: str, digits: tuple[int, int], rationale: bool = False
) -> Problem:
    """The problem of a program and an input; `digits` bounds the inputs of other examples. With
    `rationale` the answer of a deduction is written step by step. Raises `NotATask` if there is no
    output to ask about, or no value on the way to it."""
    output = run(program, value)
    if not is_output(output):
        raise NotATask("out of range")
    known = {"program": program, "input": value}
    if family == "deduction" and rationale:
        steps = [run(program[: end + 1], value) for end in range(len(program))]
        if not all(map(is_output, steps)):
            raise NotATask("out of range")
        left = [f"{program[end + 1 :]}:{step}" for end, step in enumerate(steps[:-1])]
        answer, known = STEP.join([*left, output]), known | {"output": output}
        return _problem(family, program, f"{program}:{value}", answer, known)
    if family == "deduction":
        return _problem(family, program, f"{program}:{value}", output, known)
    if family == "abduction":
        known |= {"output": output}
        return _problem(family, program, f"{program}={output},{len(value)}", value, known)
    pairs = _examples(program, value, digits)
    shown = ";".join(":".join(pair) for pair in pairs[:SHOWN])
    hidden = [list(pair) for pair in pairs[SHOWN:]]
    known_too = {"shown": [list(pair) for pair in pairs[:SHOWN]], "held_back": hidden}
    return _problem(family, program, f"{len(program)},{shown}", program, known | known_too)


def asked(prompt: str) -> Problem:
    """The problem of an abduction's or induction's prompt, of which nobody knows an answer; raises
    `NotATask`."""
    if (found := _ABDUCTION.fullmatch(prompt)) and is_program(found[1]):
        program, output, size = found.groups()
        known: dict[str, Any] = {"program": program, "input": "0" * int(size), "output": output}
        return _problem("abduction", program, prompt[1:], "", known)
    if found := _INDUCTION.fullmatch(prompt):
        shown = [pair.split(":") for pair in found[2].split(";")]
        known = {"shown": shown, "held_back": []}
        return _problem("induction", "?" * int(found[1]), prompt[1:], "", known)
    raise NotATask("unparseable")


def is_output(value: str) -> bool:
    return 0 < len(value) <= MAX_OUTPUT


def _examples(program: str, value: str, digits: tuple[int, int]) -> list[tuple[str, str]]:
    """The given input and others that follow from the text of the task, each with its output."""
    random = Random(f"programs examples {program} {value}")
    pairs = {value: run(program, value)}
    for _ in range(_DRAWS):
        other = draw_digits(random.randint(*digits), random)
        if other not in pairs and is_output(output := run(program, other)):
            pairs[other] = output
        if len(pairs) == SHOWN + HELD_BACK:
            return list(pairs.items())
    raise NotATask("out of range")


def _problem(family: str, program: str, text: str, answer: str, known: dict[str, Any]) -> Problem:
    return Problem(
        family=family,
        level=len(program),
        prompt=LETTERS[family] + text + MARK,
        question=_question(family, program, known),
        answer=answer,
        metadata=known,
    )


def _question(family: str, program: str, known: dict[str, Any]) -> str:
    if family == "induction":
        pairs = ", ".join(f"{value} into {output}" for value, output in known["shown"])
        return f"A program of {len(program)} or fewer operations that turns {pairs}"
    if family == "deduction":
        return f"What {program} makes of {known['input']}: {in_words(program)}"
    return (
        f"An input of {len(known['input'])} or fewer digits of which {program} makes "
        f"{known['output']}: {in_words(program)}"
    )
