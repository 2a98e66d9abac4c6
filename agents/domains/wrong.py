"""Wrong answers that look like right ones, and how far they are right. Knows no task: the verifier
says what is wrong."""

from itertools import takewhile
from random import Random

from agents.domains.domain import Domain, Problem

_TRIES = 16


def wrong_answer(domain: Domain, problem: Problem, other: str, random: Random) -> str:
    """The right answer with a slip or two, or at times `other`, the answer to another problem."""
    for attempt in range(_TRIES):
        found = other if random.random() < _OTHER else problem.answer
        if found == problem.answer:
            for _ in range(random.choice((1, 1, 2)) + attempt // 4):
                found = _slipped(found, other or found, random)
        if found and not domain.score(problem, found, ended=True).right:
            return found
    return problem.answer + (other or "0")


def right_until(right: str, answer: str) -> str:
    """As much of an answer as agrees with the right one from its beginning: what a model that
    judges is shown to write before it says what it finds."""
    agrees = takewhile(lambda pair: pair[0] == pair[1], zip(right, answer, strict=False))
    return "".join(one for one, _ in agrees)


def goes_along(rationale: str, answer: str, *, whole: bool) -> bool:
    """Whether what a model that judges has written before it said what it finds goes along the
    answer from its beginning: all of it, or as far as it likes."""
    rationale, answer = rationale.strip().lower(), answer.strip().lower()
    return rationale == answer if whole else answer.startswith(rationale)


_OTHER = 0.3
"""How often a whole answer is another one."""


def _slipped(text: str, other: str, random: Random) -> str:
    """One character changed, left out or put in, or two that have changed places; what comes in is
    of this answer or of `other`."""
    alphabet = sorted(set(text + other)) or ["0"]
    place = random.randrange(len(text)) if text else 0
    before, here, after = text[:place], text[place : place + 1], text[place + 1 :]
    changes = (
        before + random.choice(alphabet) + after,
        before + random.choice(alphabet) + here + after,
        before + after,
        before + after[:1] + here + after[1:],
    )
    return random.choice(changes)
