"""What a recipe may say about learning. Loads no torch."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

Precision = Literal["fp32", "bf16"]

Format = Literal["full", "lora"]
"""What of a version is written anew: all weights, or those of an adapter on shared ones."""


class CheckpointsConfig(BaseModel):
    """Which versions keep their weights: version 0, the `keep_newest` newest, every
    `keep_every`-th for ever (0: none), and the `keep_evaluated` newest of those that the evaluator
    measures. Of the others the manifest stays. What is still to be read, or served, is never taken.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    keep_newest: int = Field(default=32, ge=2)
    keep_every: int = Field(default=100, ge=0)
    keep_evaluated: int = Field(default=32, ge=0)


LEAST_POSITIONS = 128

_FORMER = {"vocab": 64, "max_positions": 128}
"""Defaults of earlier versions, as stored recipes name them."""


class ModelConfig(BaseModel):
    """The seed model: a Hugging Face folder at `path`, or else a fresh one of the given size; the
    defaults have 158,272 parameters. Without `max_positions` it reads what the tasks need, at least
    `LEAST_POSITIONS` tokens. `system` is the system message of every conversation without one, for
    a folder with a chat template; None leaves what the template itself says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: Path | None = None
    system: str | None = None
    hidden: PositiveInt = 64
    intermediate: PositiveInt = 160
    layers: PositiveInt = 3
    heads: PositiveInt = 2
    head_dim: PositiveInt = 32
    vocab: PositiveInt = 258
    max_positions: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_source(self) -> "ModelConfig":
        # A stored recipe names every field: what counts is whether one differs from its default.
        sizes = [
            name
            for name, field in type(self).model_fields.items()
            if name not in ("path", "system")
            and getattr(self, name) not in (field.default, _FORMER.get(name))
        ]
        if self.path is not None and sizes:
            raise ValueError(f"the model in {self.path} has its own size: leave out {sizes[0]}")
        if self.system is not None and self.path is None:
            raise ValueError("system is for a model with a chat template: name one in path")
        return self

    def as_before(self) -> "ModelConfig":
        """With the defaults of earlier versions for what is not said."""
        said = self.model_fields_set
        return self.model_copy(update={k: v for k, v in _FORMER.items() if k not in said})


class LoraConfig(BaseModel):
    """Low-rank adapters on frozen weights, scaled by `alpha / rank`; rank 0 trains the weights
    themselves. `targets` are endings of the names of linear layers, none means all but the output
    layer."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rank: int = Field(default=0, ge=0)
    alpha: float = Field(default=16.0, gt=0)
    targets: tuple[str, ...] = ()


_HIDDEN = re.compile(r"^(?!.*\.lora_).*\.\d+\.")
"""Names of what lies in one of many equal layers."""

NEWTON_SCHULZ_STEPS = 5


class OptimizerConfig(BaseModel):
    """What moves the matrices inside the layers, Muon or AdamW as all else; learning rates and
    decay. `grad_clip` is the largest global norm of a gradient."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["muon", "adamw"] = "muon"
    muon_lr: float = Field(default=0.02, gt=0)
    adamw_lr: float = Field(default=3e-3, gt=0)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    grad_clip: float = Field(default=1.0, gt=0)

    @staticmethod
    def is_hidden(name: str, shape: Sequence[int]) -> bool:
        """Whether a parameter is a matrix inside the layers."""
        return len(shape) == 2 and _HIDDEN.match(name) is not None


def muon_operations(shape: Sequence[int]) -> int:
    """Floating point operations by which Muon orthogonalises a matrix of this shape in a step."""
    short, long = sorted(shape)
    return NEWTON_SCHULZ_STEPS * (4 * long * short**2 + 2 * short**3)


class ScheduleConfig(BaseModel):
    """How learning rates change, by the number of steps or versions since version 0, or since
    learning last started from it again. They rise on a line over the first `rise`, stay for `hold`,
    or for good, and fall, on a line or half a cosine, to the share `end` of themselves at `length`,
    and stay there: with a `hold`, warmup-stable-decay (Hu et al. 2024, arXiv 2404.06395)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: Literal["constant", "linear", "cosine"] = "constant"
    by: Literal["steps", "versions"] = "steps"
    rise: int = Field(default=0, ge=0)
    hold: int = Field(default=0, ge=0)
    length: int = Field(default=1000, gt=0)
    end: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _falls_after_it_rose(self) -> "ScheduleConfig":
        if self.shape != "constant" and self.length <= self.rise + self.hold:
            raise ValueError(
                f"length = {self.length} is where rates have fallen, and must be above rise + hold "
                f"= {self.rise + self.hold}"
            )
        return self

    def scale(self, number: int) -> float:
        """What the learning rates are multiplied by after so many steps or versions."""
        if number < self.rise:
            return (number + 1) / self.rise
        held = self.rise + self.hold
        if self.shape == "constant" or number < held:
            return 1.0
        done = min(1.0, (number - held) / (self.length - held))
        left = 1 - done if self.shape == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.end + (1 - self.end) * left


class LearnerConfig(BaseModel):
    """How weights are averaged and what is remembered, and where that is computed. `ema_decay` is
    per optimiser step. Every `restart_every` versions (0: never) learning starts from version 0
    again. Gradients are made in parts of at most `micro_batch_tokens` tokens (None: as
    many as take about 1 GiB, on a GPU 8), which changes no result. `device` is `cpu`, `cuda` or
    `cuda:N`; `auto` takes a GPU where there is one. In `bf16` the layers multiply in 16 bits, under
    weights, averages and log-probabilities in 32. With `gradient_checkpointing` layers are computed
    again for a gradient, and with `shared_prefixes` rows that begin alike are read once."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ema_decay: float = Field(default=0.95, ge=0, lt=1)
    replay_capacity: int = Field(default=400, gt=0)
    restart_every: int = Field(default=0, ge=0)
    micro_batch_tokens: int | None = Field(default=None, gt=0)
    device: str = "auto"
    precision: Precision = "fp32"
    gradient_checkpointing: bool = False
    shared_prefixes: bool = False

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            raise ValueError("a device is auto, cpu, cuda or cuda:N")
        return device


class WarmupConfig(BaseModel):
    """Supervised training of the seed model; learning rates rise over `rise_steps` steps, stay,
    and fall linearly to a tenth from `fall_from` of the way on. `proposal_share` of the rows
    teach the proposer's role, `role_share` what sampler, judges and source ask beside the task;
    `wrong_share` of the solutions are wrong, as where nobody has checked them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(default=250, ge=0)
    batch: int = Field(default=64, gt=0)
    rise_steps: int = Field(default=20, gt=0)
    fall_from: float = Field(default=0.6, ge=0, le=1)
    proposal_share: float = Field(default=0.0, ge=0, le=1)
    role_share: float = Field(default=0.0, ge=0, le=1)
    wrong_share: float = Field(default=0.0, ge=0, le=1)
    optimizer: OptimizerConfig = OptimizerConfig()

    @model_validator(mode="after")
    def _is_a_whole(self) -> "WarmupConfig":
        if self.proposal_share + self.role_share > 1:
            raise ValueError(
                f"proposal_share {self.proposal_share:g} and role_share {self.role_share:g} are "
                "more than 1 together"
            )
        return self
