"""Everything that was judged is learned from."""

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bus.events import Judgment
from trainer.parts import Parts


class AllConfig(BaseModel):
    """Nothing is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["all"] = "all"

    def build(self, parts: Parts) -> "All":
        return All()


class All:
    def choose(self, judgments: Sequence[Judgment], random: Random) -> Sequence[Judgment]:
        return judgments
