"""Which judges there are: the union that a recipe chooses from."""

from typing import Annotated

from pydantic import Field

from agents.judges.chance import ChanceConfig
from agents.judges.choice import ChoiceConfig
from agents.judges.endpoint import EndpointConfig
from agents.judges.exact import ExactConfig
from agents.judges.game import GameConfig
from agents.judges.implicit import ImplicitConfig
from agents.judges.model import ModelConfig
from agents.judges.policy import PolicyJudgeConfig
from agents.judges.vote import VoteConfig

JudgeConfig = Annotated[
    ExactConfig
    | VoteConfig
    | ChanceConfig
    | ModelConfig
    | PolicyJudgeConfig
    | ChoiceConfig
    | GameConfig
    | ImplicitConfig
    | EndpointConfig,
    Field(discriminator="type"),
]
