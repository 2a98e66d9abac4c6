"""reasoning-gym's scorers that evaluate an answer as Python, in a room of the sandbox. Knows no
level and no prompt."""

import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.domains.gym_datasets import MADE_SEED, is_unsafe, open_dataset, score_answer
from agents.domains.gym_import import factory_of
from agents.sandbox.room import why_not
from agents.sandbox.whole import WholePython

Job = dict[str, Any]


def held() -> str:
    """What holds answers on this machine."""
    reason = why_not()
    return "Python in bubblewrap" if reason is None else f"none: {reason}"


class EvaluatingScorer:
    """Asks the scorer of one dataset. Raises ValueError where there is no sandbox for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        own, others = str(Path(__file__).parents[1]), sysconfig.get_path("purelib")
        self._asked = WholePython(
            "agents.domains.gym_scorers:in_there",
            name,
            binds=((own, "/own/agents"), (others, "/others")),
            folders=("/own", "/others"),
        )

    def score(self, parameters: Job, answer: str, entry: Job) -> float | None:
        """The scorer's value; None if it must not or cannot judge the answer, or not in time."""
        if is_unsafe(self._name, answer):
            return None
        job = {"parameters": parameters, "answer": answer, "entry": entry}
        value = self._asked.ask(job)
        is_value = isinstance(value, int | float) and 0.0 <= value <= 1.0
        return float(value) if is_value else None


def in_there(name: str) -> Callable[[Job], float | None]:
    """What answers jobs in the room: all that is slow to load is loaded before."""
    factory_of(name)

    def scored(job: Job) -> float | None:
        dataset = open_dataset(name, MADE_SEED, job["parameters"])
        return score_answer(dataset, name, job["answer"], job["entry"])

    return scored
