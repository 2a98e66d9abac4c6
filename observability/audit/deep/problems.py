"""The problem that a task sets: none of those held out, which are for measuring alone; and its
answer is the domain's own, where the domain can read the problem back."""

from collections.abc import Sequence

from agents.domains.domain import Domain, NotATask, problem_of
from bus.events import Task
from observability.audit.findings import Findings


class Problems:
    """Of `domain`; the `count` held-out problems of each of `levels`, those that have enough to
    keep any back."""

    def __init__(self, domain: Domain, levels: Sequence[int], count: int) -> None:
        self._domain = domain
        self._held_out = {
            (family, problem.prompt)
            for family in domain.families
            for level in levels
            for problem in domain.held_out(family, level, count)
        }

    def check(self, task: Task, place: str, findings: Findings) -> None:
        if (task.family, task.prompt) in self._held_out:
            findings.gather(
                "I12",
                "{example} is a held-out problem, which nobody may learn from",
                "{number} tasks are held-out problems, which nobody may learn from: {examples}",
                place,
            )
        elif not self._is_right(task):
            findings.gather(
                "I12",
                "the answer in {example} is not the one that its domain knows",
                "the answers in {number} tasks are not those that their domain knows: {examples}",
                place,
            )

    def _is_right(self, task: Task) -> bool:
        problem = problem_of(task)
        try:
            again = self._domain.read(self._domain.write(problem))
        except (NotATask, ValueError, KeyError, IndexError):
            return True  # Nobody but its generator knows the answer.
        known = (problem.family, problem.level, problem.prompt)
        return (again.family, again.level, again.prompt) != known or again.answer == problem.answer
