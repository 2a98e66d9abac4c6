"""Who learns: a model, its optimiser and its memory, moved by one batch at a time.
Knows no event log and no files.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from bus.events import Judgment
from trainer.batch import Batch
from trainer.config import Format, LearnerConfig, ScheduleConfig, WarmupConfig
from trainer.filters.filter import Filter, chosen_for
from trainer.forward import Apart, Scored
from trainer.gradient import Gradient
from trainer.optimizer import Optimizer, trainable
from trainer.replay import Replay
from trainer.rows import Row
from trainer.updates.nll import Nll, NllConfig
from trainer.updates.update import Update

_SINCE_RESTART = "steps_since_restart"


@dataclass(slots=True, kw_only=True)
class Learner:
    """The raw weights, their moving average (what is published), and what steps them. Of a model
    with an adapter, weights mean those of the adapter; the others never change. Engines never draw
    the tokens of `unknown`, which the model has and its tokenizer has not. `num_steps` are counted
    from version 0 on; at step `restarted_at` learning last started from it again.

    Threads: none of its own; not to be shared between threads.
    """

    model: Any
    optimizer: Optimizer
    filter: Filter
    update: Update
    config: LearnerConfig
    seed: int
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    format: Format = "full"
    unknown: Sequence[int] = ()
    replay: Replay = field(init=False)
    ema: dict[str, Tensor] = field(init=False)
    gradient: Gradient = field(init=False)
    num_steps: int = 0
    restarted_at: int = 0

    def __post_init__(self) -> None:
        # Dropout would make the weights follow from more than the batches.
        self.model.eval()
        self.gradient = Gradient(self.model, self.config, self.unknown)
        self.replay = Replay(self.config.replay_capacity)
        self.ema = {
            name: parameter.detach().clone() for name, parameter in trainable(self.model).items()
        }

    def restarts(self, version: int) -> bool:
        """Whether a version is made from version 0 again, not from the one before it."""
        every = self.config.restart_every
        return every > 0 and version > 1 and (version - 1) % every == 0

    def learn(
        self,
        batch: Batch,
        version: int,
        reference: Mapping[str, Tensor] | None = None,
        base: Mapping[str, Tensor] | None = None,
    ) -> dict[str, float]:
        """Move the weights by one batch; the metrics of it. `reference` are the published weights
        of the version that the update compares with, `base` those of version 0 where learning
        starts from it again.

        The order of rows follows from (seed, version) alone. A step whose loss or gradient is
        not finite is skipped and counted in `skipped`; `chosen` are the judgments that the filter
        left. `kl` is how far the model is from the reference, `mismatch_kl` how far from what
        sampled, before the first step, where the update compares with that.
        """
        random = Random(f"{self.seed}/{version}")
        losses, norms, scales, skipped = [], [], [], 0
        apart: list[Apart] = []
        chosen = chosen_for(version, self.filter, batch.judgments, self.seed)
        every = self.config.restart_every
        restarts = (version - 1) // every if every else 0
        batch = replace(batch, judgments=_of(batch, chosen), restarts=restarts)
        if base is not None:
            self._restart(base)
        self.model.eval()
        if reference is not None:
            device = self.gradient.device
            reference = {name: tensor.to(device) for name, tensor in reference.items()}
        for rows in self.update.steps(batch, self.replay, random):
            scale = self._scale(version)
            loss, norm = self._step(rows, reference, scale, apart)
            if math.isfinite(loss) and math.isfinite(norm):
                losses.append(loss)
                norms.append(norm)
                scales.append(scale)
            else:
                skipped += 1
        metrics = {"steps": float(len(losses)), "skipped": float(skipped)}
        metrics["chosen"] = float(len(chosen))
        if base is not None:
            metrics["from_version"] = 0.0
        if losses:
            metrics |= {"loss": fmean(losses), "grad_norm": fmean(norms)}
            metrics |= _said(apart, mismatch=getattr(self.update, "takes_ratios", False))
        if scales and self.schedule != ScheduleConfig():
            metrics["rates_scaled_by"] = fmean(scales)
        return metrics

    def _scale(self, version: int) -> float:
        """What the learning rates are multiplied by in the next step."""
        if self.schedule.by == "steps":
            return self.schedule.scale(self.num_steps - self.restarted_at)
        every = self.config.restart_every
        return self.schedule.scale((version - 1) % every if every else version - 1)

    def _step(
        self,
        rows: Sequence[Row],
        reference: Mapping[str, Tensor] | None,
        scale: float,
        apart: list[Apart],
    ) -> tuple[float, float]:
        def loss(scored: Scored) -> Tensor:
            apart.append(scored.apart())
            return self.update(scored)

        value = self.gradient.add(rows, loss, reference)
        if not math.isfinite(value):
            return value, value
        norm = self.optimizer.step(scale)
        if math.isfinite(norm):
            self.num_steps += 1
            self._average()
        return value, norm

    @torch.no_grad()
    def _restart(self, base: Mapping[str, Tensor]) -> None:
        """Weights, average, optimiser and memory as at version 0; steps are counted on."""
        for name, parameter in trainable(self.model).items():
            parameter.copy_(base[name])
            self.ema[name].copy_(base[name])
        self.optimizer.restart()
        self.replay.forget()
        self.restarted_at = self.num_steps

    @torch.no_grad()
    def _average(self) -> None:
        names = list(self.ema)
        raw = trainable(self.model)
        torch._foreach_lerp_(
            [self.ema[name] for name in names],
            [raw[name] for name in names],
            1 - self.config.ema_decay,
        )

    def published(self) -> dict[str, Tensor]:
        """The averaged weights, by parameter name; raises `ArithmeticError` if not finite."""
        for name, tensor in self.ema.items():
            if not bool(torch.isfinite(tensor).all()):
                raise ArithmeticError(f"{name} is not finite; nothing is published")
        return self.ema

    def state(self) -> dict[str, Tensor]:
        """All that training resumes from beside the published weights, in the main memory."""
        raw = {f"raw.{name}": p.detach() for name, p in trainable(self.model).items()}
        state = {**raw, **self.optimizer.state(), **self.replay.state()}
        if self.config.restart_every:
            state[_SINCE_RESTART] = torch.tensor(self.num_steps - self.restarted_at)
        return {name: tensor.cpu() for name, tensor in state.items()}

    @torch.no_grad()
    def restore(self, published: dict[str, Tensor], state: dict[str, Tensor], step: int) -> None:
        """Go on from a version; with an empty `state` from its weights alone, all else fresh."""
        for name, parameter in trainable(self.model).items():
            parameter.copy_(state[f"raw.{name}"] if state else published[name])
            self.ema[name].copy_(published[name])
        if state:
            self.optimizer.restore(state)
            self.replay.restore(state)
        self.num_steps = step
        self.restarted_at = step - int(state.get(_SINCE_RESTART, step))


def _said(apart: Sequence[Apart], *, mismatch: bool) -> dict[str, float]:
    """Of the steps of a version; what is not finite is not said."""
    kl = [one.reference for one in apart if one.reference is not None]
    found = {"kl": fmean(kl)} if kl else {}
    if mismatch and (first := apart[0].behaviour) is not None:
        found["mismatch_kl"] = first
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _of(batch: Batch, chosen: Sequence[Judgment]) -> tuple[Judgment, ...]:
    """What a filter has chosen of a batch. Raises `ValueError` for anything else."""
    ids = [judgment.id for judgment in chosen]
    if len(set(ids)) != len(ids) or not set(ids) <= {one.id for one in batch.judgments}:
        raise ValueError("the filter chose a judgment twice, or one that is not of the batch")
    return tuple(chosen)


def warm_up(
    model: Any,
    draw: Callable[[int], Row],
    config: WarmupConfig,
    progress: Callable[[int, int], None],
    learner: LearnerConfig = LearnerConfig(),  # noqa: B008 - it is frozen
) -> float:
    """Supervised training on `draw(index)` rows, computed as `learner` says; the last loss.
    `progress(step, steps)`."""
    optimizer = Optimizer(model, config.optimizer)
    nll = Nll(NllConfig())
    model.eval()
    gradient = Gradient(model, learner)
    value = math.nan
    for step in range(config.steps):
        rows = [draw(step * config.batch + index) for index in range(config.batch)]
        value = gradient.add(rows, nll)
        done = step / config.steps
        fall = max(0.0, done - config.fall_from) / max(1e-9, 1 - config.fall_from)
        optimizer.step(min(1.0, (step + 1) / config.rise_steps) * (1 - 0.9 * fall))
        progress(step + 1, config.steps)
    return value
