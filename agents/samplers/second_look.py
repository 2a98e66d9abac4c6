"""Two turns: an answer, then a second look at it.

user: PROMPT   assistant: first answer   user: QUESTION   assistant: the answer that counts
"""

from collections.abc import Sequence
from typing import Literal

from agents.engines.engine import Message
from agents.parts import PartConfig, Parts
from agents.samplers.sampler import Speak
from agents.together import together
from bus.events import Sample, Task


class SecondLookConfig(PartConfig):
    """`question` is what the model is asked after its first answer; of a model without a chat
    template it must be written in its alphabet. What is learned is the second turn ("last") or both
    of them."""

    type: Literal["second_look"] = "second_look"
    question: str = "Look at your answer again, then give the final one."
    learn: Literal["last", "both"] = "last"

    def build(self, parts: Parts) -> "SecondLook":
        return SecondLook(self)


class SecondLook:
    """First answers are drawn together, second ones each in its own conversation."""

    def __init__(self, config: SecondLookConfig) -> None:
        self._question = config.question
        self._learns_first = config.learn == "both"

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        firsts = await speak(task.prompt, n, seat="first", trainable=self._learns_first)
        seconds = await together(
            speak(
                (
                    Message(role="user", text=task.prompt),
                    Message(role="assistant", text=first.text, tokens=first.tokens),
                    Message(role="user", text=self._question),
                ),
                seat="second",
            )
            for first in firsts
        )
        return [
            Sample(turns=(first, second)) for first, [second] in zip(firsts, seconds, strict=True)
        ]
