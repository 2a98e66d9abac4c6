"""No update: versions count what was judged, and all have the weights of version 0.

For methods that learn in context alone. What changes from version to version is what a memory
holds.
"""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row
from trainer.updates.update import Reference

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class NoneConfig(BaseModel):
    """Nothing is learned from; all is consumed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learns: ClassVar[bool] = False

    type: Literal["none"] = "none"

    def build(self, parts: Parts) -> "NoUpdate":
        return NoUpdate()


class NoUpdate:
    """No steps, so no loss."""

    @property
    def reference(self) -> Reference | None:
        return None

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        yield from ()

    def __call__(self, scored: "Scored") -> "Tensor":
        return 0.0 * scored.logprobs_BT.sum()
