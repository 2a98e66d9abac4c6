"""What a recipe may say about learning. Loads no torch."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from trainer.losses.grpo import GrpoConfig
from trainer.losses.nll import NllConfig

LossConfig = Annotated[NllConfig | GrpoConfig, Field(discriminator="type")]


class ModelConfig(BaseModel):
    """Size of the seed model; the defaults have 145,856 parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: PositiveInt = 64
    intermediate: PositiveInt = 160
    layers: PositiveInt = 3
    heads: PositiveInt = 2
    head_dim: PositiveInt = 32
    vocab: PositiveInt = 64
    max_positions: PositiveInt = 128


class OptimizerConfig(BaseModel):
    """Learning rates and decay; `grad_clip` is the largest global norm of a gradient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    muon_lr: float = Field(default=0.02, gt=0)
    adamw_lr: float = Field(default=3e-3, gt=0)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    grad_clip: float = Field(default=1.0, gt=0)


class LearnerConfig(BaseModel):
    """How weights are averaged and what is remembered. `ema_decay` is per optimiser step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ema_decay: float = Field(default=0.95, ge=0, lt=1)
    replay_capacity: int = Field(default=400, gt=0)


class WarmupConfig(BaseModel):
    """Supervised training of the seed model; learning rates rise over `rise_steps` steps, stay,
    and fall linearly to a tenth from `fall_from` of the way on. `proposal_share` of the rows
    teach the proposer's role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=250, ge=0)
    batch: int = Field(default=64, gt=0)
    rise_steps: int = Field(default=20, gt=0)
    fall_from: float = Field(default=0.6, ge=0, le=1)
    proposal_share: float = Field(default=0.0, ge=0, le=1)
    optimizer: OptimizerConfig = OptimizerConfig()
