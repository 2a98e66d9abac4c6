"""What a block of the trainer may ask for when it is built: every one is `config.build(parts)`."""

from typing import Protocol

from bus.log import Log


class Parts(Protocol):
    """The run, its seed, and its log, to be read."""

    @property
    def run(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def log(self) -> Log: ...
