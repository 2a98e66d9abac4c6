"""What is minimised: the `Loss` protocol. A loss knows rows and judgments, no model and no log."""

from collections.abc import Iterator
from random import Random
from typing import Protocol

from torch import Tensor

from trainer.batch import Batch
from trainer.forward import Scored
from trainer.replay import Replay
from trainer.rows import Row


class Loss(Protocol):
    """One way to learn from judgments. It is asked for the rows of each optimiser step of an
    update, then for the loss of those rows."""

    @property
    def learns_refusals(self) -> bool:
        """Whether refusals are trained on; otherwise they are dropped."""
        ...

    def steps(self, batch: Batch, replay: Replay, random: Random) -> Iterator[list[Row]]:
        """The rows of each optimiser step; may put rows into `replay`."""
        ...

    def __call__(self, scored: Scored) -> Tensor:
        """The loss of one step, a scalar."""
        ...
