"""Which programs are worth asking about. Knows the language and no task."""

from functools import lru_cache
from random import Random

from agents.domains.programs.language import OPERATIONS, run
from agents.domains.strings import draw_digits

_SELDOM = "hlgkq"
"""What leaves a digit or two is drawn seldom: little can follow it."""

_PROBES = tuple(
    draw_digits(count, Random(f"programs probe {count} {index}"))
    for count in range(1, 10)
    for index in range(4)
)
_MAX_TRIES = 100
_LOOKED_AT = 64

ALL = "".join(OPERATIONS)
"""All operations there are."""


@lru_cache(maxsize=1 << 14)
def is_trivial(program: str) -> bool:
    """Whether a program does on a fixed sample of values what it does without some of its letters
    that stand together, or gives one value for all: `rr` (nothing at all), `ss` (as `s`), `hk`
    (always 1). At most as many runs as the sample times the square of the program's length."""
    outputs = [run(program, probe) for probe in _PROBES]
    if len(set(outputs)) == 1:
        return True
    expected = list(zip(_PROBES, outputs, strict=True))
    length = len(program)
    return any(
        all(run(program[:start] + program[end:], probe) == output for probe, output in expected)
        for start in range(length)
        for end in range(start + 1, length + 1)
    )


def longest_program(most: int, letters: str) -> int:
    """How many letters a program of `letters` may have, up to `most`, without being trivial."""
    programs = {""}
    for length in range(most):
        longer = (program + letter for program in sorted(programs) for letter in letters)
        programs = {each for each in longer if not is_trivial(each)}
        if not programs:
            return length
        # The beginnings of what is not trivial are not: a few of them say enough.
        programs = set(sorted(programs)[:: max(1, len(programs) // _LOOKED_AT)])
    return most


def draw_letter(random: Random, letters: str = ALL) -> str:
    """One operation."""
    return random.choices(letters, [1 if letter in _SELDOM else 4 for letter in letters])[0]


def draw_program(length: int, random: Random, letters: str = ALL) -> str:
    """A program of `length` of the `letters` that is not trivial. It grows letter by letter: what
    begins with a trivial program is trivial."""
    program, tries = "", 0
    while len(program) < length:
        longer = program + draw_letter(random, letters)
        tries += 1
        if not is_trivial(longer):
            program = longer
        elif tries > _MAX_TRIES:
            program, tries = "", 0
    return program
