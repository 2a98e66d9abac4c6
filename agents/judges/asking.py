"""What a model that judges reads, a template in which the texts of a task and an answer stand, and
the scale of what it says.
"""

import re

from agents.domains.domain import Problem
from bus.events import Task

_FIELD = re.compile(r"\{(prompt|question|answer|other)\}")


def filled(template: str, asked: Task | Problem, answer: str, other: str | None = None) -> str:
    """Put together in one pass: what a sample says is never read as a field. Without an `other`
    answer that is none."""
    texts = {"prompt": asked.prompt, "question": asked.question, "answer": answer}
    texts["other"] = "{other}" if other is None else other
    return _FIELD.sub(lambda found: texts[found[1]], template)


def shows_the_answer(template: str) -> str:
    """A template that asks about an answer. Raises `ValueError`."""
    if "{answer}" not in template:
        raise ValueError("the template must show the {answer}")
    return template


def told_apart(scale: tuple[str, ...]) -> tuple[str, ...]:
    """A scale of grades, from the worst to the best, no two of them alike. Raises `ValueError`."""
    plain = [grade.strip().lower() for grade in scale]
    if len(set(plain)) != len(plain) or not all(plain):
        raise ValueError("every grade needs a text of its own")
    return scale


def in_words(grade: float) -> str:
    """A grade from 0 to 1."""
    return "approved" if grade >= 1 else "disapproved" if grade <= 0 else "in between"
