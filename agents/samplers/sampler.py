"""How an attempt is made: the `Sampler` protocol. A sampler knows a task and who speaks, and no
verdict."""

from collections.abc import Sequence
from typing import Protocol

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
