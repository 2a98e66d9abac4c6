"""Whether an answer about a program is right: lines are compared with lines, whatever a model
wrote."""

from agents.domains.domain import Problem, Score
from agents.domains.python_programs.texts import most_answered
from agents.sandbox.sandbox import Sandbox
from agents.sandbox.values import NoValue, arguments_of, line_of, value_of


def score(problem: Problem, answer: str, ended: bool, sandbox: Sandbox) -> Score:
    """Right or not; there is no partial credit. A deduction has one right value, written in any
    way; of an abduction all arguments count that give the output and are no longer than the prompt
    says, of an induction all programs that give every result, those held back too."""
    if not ended:
        return Score(value=0.0, reason="not ended")
    if not answer.strip():
        return Score(value=0.0, reason="empty")
    reason = _JUDGES[problem.family](problem, answer, sandbox)
    return Score(value=float(reason == "right"), reason=reason)


def _deduced(problem: Problem, answer: str, sandbox: Sandbox) -> str:
    try:
        return _right(line_of(value_of(answer)) == problem.metadata["output"])
    except NoValue:
        return "unreadable"


def _abduced(problem: Problem, answer: str, sandbox: Sandbox) -> str:
    known = problem.metadata
    if len(answer) > len(known["call"]):
        return "too long"
    try:
        arguments = arguments_of(answer)
    except NoValue:
        return "unreadable"
    ran = sandbox.run(known["program"], arguments)
    return ran.reason or _right(ran.line == known["output"])


def _induced(problem: Problem, answer: str, sandbox: Sandbox) -> str:
    known = problem.metadata
    if len(answer) > most_answered(known["program"]):
        return "too long"
    if "def f(" not in answer:
        return "unreadable"
    shown, held_back = known["shown"], known["held_back"]
    ran = sandbox.run_twice(answer, arguments_of(shown[0][0]))
    if ran.line is None:
        return "unreadable" if ran.reason == "no Python" else ran.reason
    cases = [arguments_of(call) for call, _ in shown + held_back]
    same = [
        line == expected
        for line, (_, expected) in zip(
            sandbox.run_each(answer, cases), shown + held_back, strict=True
        )
    ]
    if not all(same[: len(shown)]):
        return "wrong"
    return "right" if all(same) else "wrong on other calls"


def _right(is_right: bool) -> str:
    return "right" if is_right else "wrong"


_JUDGES = {"deduction": _deduced, "abduction": _abduced, "induction": _induced}
