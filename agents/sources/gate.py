"""Which of the texts that a model wrote are asked: tasks, and new ones. Knows no model."""

from agents.domains.domain import Domain, NotATask, Problem
from agents.sources.likeness import Likeness
from agents.sources.memory import Memory
from bus.events import Turn


class Gate:
    """The gate of one draw. Tasks of levels up to `free` may return in a later one."""

    def __init__(self, domain: Domain, memory: Memory, free: int) -> None:
        self._domain = domain
        self._memory = memory
        self._free = free
        self._prompts: set[str] = set()
        self._texts = Likeness()

    def admit(self, turn: Turn, family: str | None) -> Problem:
        """The problem that was written; raises `NotATask`."""
        if turn.finish_reason != "stop":
            raise NotATask("not ended")
        problem = self._domain.read(turn.text)
        if family not in (None, problem.family):
            raise NotATask("another family")
        known = problem.level > self._free and problem.prompt in self._memory
        if known or problem.prompt in self._prompts:
            raise NotATask("duplicate")
        if self._memory.is_alike(turn.text, self._texts):
            raise NotATask("too alike")
        self._prompts.add(problem.prompt)
        if self._memory.compares:
            self._texts.add(turn.text)
        return problem
