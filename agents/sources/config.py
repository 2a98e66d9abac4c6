"""Which sources there are: the union that a recipe chooses from."""

from typing import Annotated

from pydantic import Field

from agents.sources.curriculum import CurriculumConfig
from agents.sources.learned import LearnedConfig
from agents.sources.mutate import MutateConfig
from agents.sources.schedule import ScheduleConfig
from agents.sources.uniform import UniformConfig
from agents.sources.unlabeled import UnlabeledConfig

SourceConfig = Annotated[
    CurriculumConfig
    | LearnedConfig
    | MutateConfig
    | ScheduleConfig
    | UniformConfig
    | UnlabeledConfig,
    Field(discriminator="type"),
]
