"""Which weights a role generates with: policies by name, each an engine that a follower keeps where
its rule says. Knows no role, no log and no kind of engine.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.engines.config import EngineConfig
from agents.engines.engine import Engine
from agents.policies.follower import PolicyFollower


class PolicyConfig(BaseModel):
    """`follow` says which version is served: the newest ("current"), the one before it
    ("previous"), or number `version` for ever ("reference"). Without `engine` it is served by
    the recipe's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    follow: Literal["current", "previous", "reference"] = "current"
    version: int = Field(default=0, ge=0)
    engine: EngineConfig | None = None

    @model_validator(mode="after")
    def _names_no_other_version(self) -> "PolicyConfig":
        if self.version and self.follow != "reference":
            raise ValueError(f"version = {self.version} needs follow = reference")
        return self

    def due(self, newest: int) -> int:
        """The version to serve while `newest` is the newest."""
        if self.follow == "reference":
            return self.version
        return max(0, newest - 1) if self.follow == "previous" else newest


BUILT_IN = {
    "current": PolicyConfig(),
    "previous": PolicyConfig(follow="previous"),
    "reference": PolicyConfig(follow="reference"),
}
"""The policies that every recipe has, on its own engine unless it says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedPolicy:
    """An engine, and who keeps it up to date."""

    engine: Engine
    follower: PolicyFollower


class Policies:
    """The policies of one process by name. `make` makes one when it is first asked for; whoever
    asks for the same name shares it."""

    def __init__(self, make: Callable[[str], ServedPolicy]) -> None:
        self._make = make
        self._made: dict[str, ServedPolicy] = {}

    def __getitem__(self, name: str) -> ServedPolicy:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    async def run(self) -> None:
        """Follow with all that were asked for, for ever. Raises what a follower raises."""
        async with asyncio.TaskGroup() as group:
            for policy in self._made.values():
                group.create_task(policy.follower.run())

    async def close(self) -> None:
        for policy in self._made.values():
            await policy.engine.close()
