"""A task as a model writes it, and what a model is asked of it. Knows no verifier.

A model proposes the family, a program and a call of it, each on lines of its own:

    deduction
    def f(x):
        return x + 1
    f(3)
"""

import re
from dataclasses import dataclass
from typing import Literal

from agents.domains.domain import NotATask

Family = Literal["deduction", "abduction", "induction"]
FAMILIES: tuple[Family, ...] = ("deduction", "abduction", "induction")
LINE_CHARACTERS = 80
MOST_LINES = 12
MOST_INPUT = 120
MOST_OUTPUT = 120

_PLAIN = re.compile(r"[\n\x20-\x7e]*")
_CALL = re.compile(r"f\((.*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A task as text: `call` stands between the brackets of the call."""

    family: str
    program: str
    call: str

    @property
    def level(self) -> int:
        """Lines that do something, but for the one that names the function."""
        return sum(bool(line.strip()) for line in self.program.split("\n")) - 1

    @property
    def text(self) -> str:
        return f"{self.family}\n{self.program}\nf({self.call})"


def most_program(level: int) -> int:
    """Characters of the longest program of a level."""
    return LINE_CHARACTERS * (level + 1)


def most_answered(program: str) -> int:
    """Characters of the longest answer to an induction: another may take more than this one."""
    return 2 * len(program) + LINE_CHARACTERS


def parsed(text: str) -> Written:
    """The parts of a written task; raises `NotATask`."""
    if len(text) > most_program(MOST_LINES) + MOST_INPUT + 20:
        raise NotATask("out of range")
    family, _, rest = text.partition("\n")
    program, _, last = rest.rpartition("\n")
    call = _CALL.fullmatch(last)
    if not _PLAIN.fullmatch(text) or call is None or "def f(" not in program:
        raise NotATask("unparseable")
    if family not in FAMILIES:
        raise NotATask("unknown family")
    found = Written(family=family, program=program, call=call[1])
    if len(found.call) > MOST_INPUT or not 1 <= found.level <= MOST_LINES:
        raise NotATask("out of range")
    if len(program) > most_program(found.level):
        raise NotATask("out of range")
    return found


def question(written: Written, output: str, shown: list[tuple[str, str]]) -> str:
    """What a model reads. `output` and what is `shown`, calls and what they return, are
    literals."""
    if written.family == "induction":
        calls = "\n".join(f"f({call}) == {result}" for call, result in shown)
        return (
            f"Write a Python function f of which these are true:\n\n{calls}\n\nAnswer with the "
            f"program alone, in at most {most_answered(written.program)} characters. It begins "
            "with `def f(` and imports nothing but math, re, itertools or collections."
        )
    program = f"Here is a Python program:\n\n{written.program}\n\n"
    if written.family == "deduction":
        return f"{program}What does f({written.call}) return? Answer with the value alone."
    return (
        f"{program}With which arguments does f return {output}? Answer with what stands between "
        f"the brackets of such a call alone, in at most {len(written.call)} characters."
    )


PROPOSER = (
    "Write a new task like these: on the first line deduction, abduction or induction, then a "
    "Python program that defines f, then a call of it. The program imports nothing but math, re, "
    "itertools or collections, and uses no yield, no inheritance, no clock and no chance.\n"
)
