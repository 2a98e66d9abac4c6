"""Whether an answer about a program is right. Runs what a model wrote, in bounded time."""

from agents.domains.domain import Problem, Score
from agents.domains.programs.language import is_program, run
from agents.domains.programs.tasks import STEP
from agents.domains.strings import is_digits


def score(problem: Problem, answer: str, ended: bool) -> Score:
    """Right or not; there is no partial credit. Of a rationale the last value counts alone, of an
    abduction every input that gives the output and has no more digits than the prompt says, of an
    induction every program that gives all examples, those held back too, and has no more
    letters."""
    if not ended:
        return Score(value=0.0, reason="not ended")
    if not answer:
        return Score(value=0.0, reason="empty")
    reason = _JUDGES[problem.family](problem, answer)
    return Score(value=float(reason == "right"), reason=reason)


def _deduced(problem: Problem, answer: str) -> str:
    output = problem.metadata.get("output")
    last = answer if output is None else answer.rpartition(STEP)[2]
    if not is_digits(last):
        return "unreadable"
    return "right" if last == (output or problem.answer) else "wrong"


def _abduced(problem: Problem, answer: str) -> str:
    known = problem.metadata
    if len(answer) > len(known["input"]):
        return "too long"
    if not is_digits(answer):
        return "unreadable"
    return "right" if run(known["program"], answer) == known["output"] else "wrong"


def _induced(problem: Problem, answer: str) -> str:
    if len(answer) > problem.level:
        return "too long"
    if not is_program(answer):
        return "unreadable"
    if not _gives(answer, problem.metadata["shown"]):
        return "wrong"
    return "right" if _gives(answer, problem.metadata["held_back"]) else "wrong on other examples"


def _gives(program: str, pairs: list[list[str]]) -> bool:
    return all(run(program, value) == output for value, output in pairs)


_JUDGES = {"deduction": _deduced, "abduction": _abduced, "induction": _induced}
