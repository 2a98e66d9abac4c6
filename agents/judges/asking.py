"""What a model that judges reads: a template in which the texts of a task and an answer stand."""

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
