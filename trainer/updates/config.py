"""Which updates there are: the union that a recipe chooses from in its section `loss`."""

from typing import Annotated

from pydantic import Field

from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import NllConfig

UpdateConfig = Annotated[NllConfig | GrpoConfig, Field(discriminator="type")]
