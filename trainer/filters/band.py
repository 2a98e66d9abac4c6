"""Tasks that were solved sometimes: what is always or never solved teaches little.

The filter of R-Zero (Huang et al. 2025, arXiv 2508.05004), which keeps success rates of .3 to .8.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bus.events import Judgment
from trainer.parts import Parts


class BandConfig(BaseModel):
    """Judgments of which the share of right samples lies in [`low`, `high`]."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["band"] = "band"
    low: float = Field(default=0.3, ge=0, le=1)
    high: float = Field(default=0.8, ge=0, le=1)

    @model_validator(mode="after")
    def _is_a_band(self) -> "BandConfig":
        if self.low > self.high:
            raise ValueError(f"low = {self.low} is above high = {self.high}")
        return self

    def build(self, parts: Parts) -> "Band":
        return Band(self)


class Band:
    def __init__(self, config: BandConfig) -> None:
        self._config = config

    def choose(self, judgments: Sequence[Judgment], random: Random) -> Sequence[Judgment]:
        low, high = self._config.low, self._config.high
        return [judgment for judgment in judgments if low <= judgment.success <= high]
