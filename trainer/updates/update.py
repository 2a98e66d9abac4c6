"""Which rows are learned from, and what is minimised: the `Update` protocol. An update knows rows
and judgments, no model and no log."""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol

from trainer.batch import Batch
from trainer.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay

Reference = Literal["previous", "first"]
"""The version that a new one is made from, or version 0."""


def divergence(scored: "Scored") -> "Tensor":
    """[B, T]: r - 1 - log r, where r is what the reference finds likely over what the model does:
    the estimator of Schulman (2020), never negative, of the divergence of the model from the
    reference, unbiased where the model drew the token."""
    assert scored.reference_BT is not None
    above_BT = scored.reference_BT - scored.logprobs_BT
    return above_BT.exp() - above_BT - 1


class Update(Protocol):
    """One way to learn from judgments. It is asked for the rows of each optimiser step, then for
    the loss of those rows."""

    @property
    def reference(self) -> Reference | None:
        """The version whose log-probabilities it compares with, None without one."""
        ...

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        """The rows of each optimiser step, of trainable turns alone; may put rows into `replay`."""
        ...

    def __call__(self, scored: "Scored") -> "Tensor":
        """The loss of one step, a scalar. `scored.reference_BT` is there if it was asked for."""
        ...
