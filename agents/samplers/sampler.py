"""How an attempt is made: the `Sampler` protocol. A sampler knows a task and who speaks, and no
verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agents.engines.engine import Prompt
from bus.events import Sample, Task, Turn


class Speak(Protocol):
    """Draws turns of the solver: by its policy, at its temperature, with weights no older than the
    task's."""

    async def __call__(
        self, prompt: Prompt, n: int = 1, *, seat: str = "", trainable: bool = True
    ) -> list[Turn]: ...


class Sampler(Protocol):
    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        """`n` answers to `task`: of each the text of the last turn counts. What others than the
        solver say is drawn from policies of their own, and is not trainable. Behind the `n` more
        may stand that had a hint: their turns name the prompt that they are learned after."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A lesson before it becomes an event: the fields of `Lesson` that a sampler knows."""

    sample: int
    about: str
    turn: Turn
    forgets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Samples; of a sampler with a memory, how many lessons of the run it could read and what was
    learned."""

    samples: Sequence[Sample]
    memory: int | None = None
    lessons: Sequence[Learned] = ()


@runtime_checkable
class Remembers(Protocol):
    """A sampler that reads lessons and leaves some."""

    async def draw(self, task: Task, n: int, speak: Speak) -> Drawn:
        """What `Sampler.sample` gives, with the lessons; the solver puts them on the log in the
        commit that has the attempt."""
        ...
