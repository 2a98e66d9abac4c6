"""What is asked: the `Domain` protocol. A domain knows its tasks and nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from random import Random
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, runtime_checkable

from bus.events import Task, is_right

if TYPE_CHECKING:
    from agents.engines.engine import Engine

P = ParamSpec("P")
T = TypeVar("T")


class NotATask(Exception):
    """A text that a model wrote is no task of this domain; the reason, in one word or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One task before it becomes an event. `prompt` is what the model reads, `question` the
    same for people; (family, level, prompt) tell problems apart."""

    family: str
    level: int
    prompt: str
    question: str
    answer: str
    metadata: dict[str, Any] = field(default_factory=dict)


def fields_of(problem: Problem) -> dict[str, Any]:
    """What a `Task` event carries of a problem, by the names of its fields."""
    return {each.name: getattr(problem, each.name) for each in fields(problem)}


def problem_of(task: Task) -> Problem:
    """The problem that a `Task` event carries."""
    return Problem(**{each.name: getattr(task, each.name) for each in fields(Problem)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """1.0 is fully right. `reason` says why it is not."""

    value: float
    reason: str

    @property
    def right(self) -> bool:
        return is_right(self.value)


class Domain(Protocol):
    """One or more families of tasks with levels of difficulty, and their verifier. One that `waits`
    for another process when it reads or scores says so, and is asked in threads."""

    @property
    def name(self) -> str: ...
    @property
    def families(self) -> Sequence[str]: ...
    @property
    def warmup_levels(self) -> Sequence[int]:
        """The levels a seed model is warmed up on."""
        ...

    @property
    def levels(self) -> Sequence[int]:
        """All levels a run may reach, ascending."""
        ...

    def make(self, family: str, level: int, random: Random) -> Problem:
        """A new problem, never a held-out one."""
        ...

    def held_out(self, family: str, level: int, count: int) -> list[Problem]:
        """The held-out suite: fixed, from a seed space of its own, never made or admitted."""
        ...

    def read(self, text: str) -> Problem:
        """The problem that a model wrote as `text`; raises `NotATask` with the reason."""
        ...

    def write(self, problem: Problem) -> str:
        """The text that `read` turns back into `problem`."""
        ...

    def pose(self, question: str, family: str | None = None) -> Problem:
        """A problem of the user's own, from its bare input; raises `NotATask`."""
        ...

    def score(self, problem: Problem, answer: str, ended: bool) -> Score:
        """Judge an answer; `ended` tells whether the model ended it itself."""
        ...

    def max_answer_tokens(self, level: int) -> int:
        """Room for any answer of this level, the end token included."""
        ...

    def max_proposal_tokens(self) -> int:
        """Room for any task that a model may write, the end token included."""
        ...

    def proposer_prompt(self) -> str:
        """What a model in the proposer's role reads."""
        ...


async def asked(domain: Domain, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What is answered to a `question` about the domain: in a thread where the domain `waits`."""
    if getattr(domain, "waits", False):
        return await asyncio.to_thread(question, *args, **kwargs)
    return question(*args, **kwargs)


@runtime_checkable
class Measured(Protocol):
    """A domain that knows more of a model than which answers are right: how far its moves are from
    an equilibrium, say, or its words from those of the data."""

    async def measure(self, engine: "Engine") -> dict[str, float]:
        """Named quantities of the weights that `engine` serves."""
        ...
