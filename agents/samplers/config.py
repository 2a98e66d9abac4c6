"""Which samplers there are: the union that a recipe chooses from."""

from typing import Annotated

from pydantic import Field

from agents.samplers.game import GameConfig
from agents.samplers.lessons import LessonsConfig
from agents.samplers.rationalise import RationaliseConfig
from agents.samplers.refine import RefineConfig
from agents.samplers.second_look import SecondLookConfig
from agents.samplers.single import SingleConfig

SamplerConfig = Annotated[
    SingleConfig | SecondLookConfig | GameConfig | RationaliseConfig | RefineConfig | LessonsConfig,
    Field(discriminator="type"),
]
