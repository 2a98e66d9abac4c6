"""One turn: the task is read, the answer is what follows."""

from collections.abc import Sequence
from typing import Literal

from agents.parts import PartConfig, Parts
from agents.samplers.sampler import Speak
from bus.events import Sample, Task


class SingleConfig(PartConfig):
    """Every answer is one turn."""

    type: Literal["single"] = "single"

    def build(self, parts: Parts) -> "Single":
        return Single()


class Single:
    """All answers are drawn together."""

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        return [Sample(turns=(turn,)) for turn in await speak(task.prompt, n)]
