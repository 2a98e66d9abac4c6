"""What a block of the trainer may ask for when it is built: every one is `config.build(parts)`."""

from typing import Protocol

from bus.log import Log


class Parts(Protocol):
    """The run, its seed, its log, to be read, and how the model writes."""

    @property
    def run(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def log(self) -> Log: ...
    def encode(self, answer: str) -> tuple[int, ...]:
        """The tokens of an answer, the end with them."""
        ...
