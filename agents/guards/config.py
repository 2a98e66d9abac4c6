"""Which guards there are: the union that a recipe chooses from."""

from typing import Annotated

from pydantic import Field

from agents.guards.drift import DriftConfig
from agents.guards.floor import FloorConfig
from agents.guards.majority import MajorityConfig

AnyGuardConfig = Annotated[DriftConfig | FloorConfig | MajorityConfig, Field(discriminator="type")]
