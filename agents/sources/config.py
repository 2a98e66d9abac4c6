"""Which sources there are: the union that a recipe chooses from."""

from typing import Annotated

from pydantic import Field

from agents.sources.curriculum import CurriculumConfig
from agents.sources.learned import LearnedConfig
from agents.sources.uniform import UniformConfig

SourceConfig = Annotated[
    CurriculumConfig | LearnedConfig | UniformConfig, Field(discriminator="type")
]
