"""Which version a policy serves: the rules that a recipe chooses from. Loads no engine."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.engines.config import EngineConfig
from bus.events import CURRENT, Weights
from bus.versions import Versions


class PolicyConfig(BaseModel):
    """`follow` says which version is served: the newest ("current"), the one that it was made from
    ("previous"), number `version` for ever ("reference"), or the last that a gate has promoted,
    version 0 until then ("promoted"). Where a run trains several policies, `chain` names the one
    whose weights these are. Without `engine` it is served by the recipe's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    follow: Literal["current", "previous", "reference", "promoted"] = CURRENT
    version: int = Field(default=0, ge=0)
    chain: str = CURRENT
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
                found = versions.numbered(self.version)
            case "promoted":
                found = versions.promoted() or versions.numbered(0)
            case _:
                found = versions.newest()
        if found is None:
            return None
        due = versions.moved(found, self.chain)
        if self.follow == "previous" and (parent := versions.parent(due)) is not None:
            return versions.moved(parent, self.chain)
        return due


BUILT_IN = {
    "current": PolicyConfig(),
    "previous": PolicyConfig(follow="previous"),
    "reference": PolicyConfig(follow="reference"),
    "promoted": PolicyConfig(follow="promoted"),
}
"""The policies that every recipe has, on its own engine unless it says otherwise."""
