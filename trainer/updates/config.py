"""Which updates there are: the union that a recipe chooses from in its section `loss`."""

from typing import Annotated

from pydantic import Field

from trainer.updates.cream import CreamConfig
from trainer.updates.dpo import DpoConfig
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import NllConfig
from trainer.updates.none import NoneConfig
from trainer.updates.spin import SpinConfig

UpdateConfig = Annotated[
    NllConfig | GrpoConfig | DpoConfig | CreamConfig | SpinConfig | NoneConfig,
    Field(discriminator="type"),
]
