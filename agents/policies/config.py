"""Which version a policy serves: the rules that a recipe chooses from. Loads no engine."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.engines.config import EngineConfig
from bus.events import Weights
from bus.versions import Versions

CURRENT: Final = "current"


class PolicyConfig(BaseModel):
    """`follow` says which version is served: the newest ("current"), the one that it was made from
    ("previous"), number `version` for ever ("reference"), or the last that a gate has promoted,
    version 0 until then ("promoted"). Without `engine` it is served by the recipe's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    follow: Literal["current", "previous", "reference", "promoted"] = CURRENT
    version: int = Field(default=0, ge=0)
    engine: EngineConfig | None = None

    @model_validator(mode="after")
    def _names_no_other_version(self) -> "PolicyConfig":
        if self.version and self.follow != "reference":
            raise ValueError(f"version = {self.version} needs follow = reference")
        return self

    @property
    def topics(self) -> tuple[str, ...]:
        """What tells that another version is due."""
        return ("weights", "promotions") if self.follow == "promoted" else ("weights",)

    def due(self, versions: Versions) -> Weights | None:
        """The version to serve now; None while there is none."""
        match self.follow:
            case "reference":
                return versions.numbered(self.version)
            case "promoted":
                return versions.promoted() or versions.numbered(0)
            case "previous":
                newest = versions.newest()
                return newest and (versions.parent(newest) or newest)
            case _:
                return versions.newest()


BUILT_IN = {
    "current": PolicyConfig(),
    "previous": PolicyConfig(follow="previous"),
    "reference": PolicyConfig(follow="reference"),
    "promoted": PolicyConfig(follow="promoted"),
}
"""The policies that every recipe has, on its own engine unless it says otherwise."""
