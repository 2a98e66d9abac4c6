"""Rejection-sampling fine-tuning: likelihood of right answers, fresh and replayed.

RFT (Yuan et al. 2023, arXiv 2308.01825) as a running stream: of every solved task one right
sample is kept, or several that differ. With `proposal_rows` the same model learns to propose as
well.
"""

from collections.abc import Hashable, Iterator
from random import Random
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events import Judgment
from trainer.batch import Batch
from trainer.parts import Parts
from trainer.rows import Row, row_of
from trainer.updates.proposals import WARMUP_PROPOSED, keep_proposals, proposal_rows
from trainer.updates.update import Reference, divergence

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay

SOLVED = "solved/"
WARMUP_SOLVED = "warm-up/solved"
WARMUP_ROLES = "warm-up/roles"


class NllConfig(BaseModel):
    """Rows of each optimiser step: right answers of this batch (`fresh_rows`, of tasks that were
    solved now and then, or of all with `fresh_from` "solved"), earlier ones (`replay_rows`, one
    queue a level), tasks of the warm-up (`warmup_rows`); and in the proposer's role learnable
    proposals (`proposal_rows`) and tasks of the warm-up (`anchor_rows`); `role_rows` are what the
    warm-up has shown of other roles. Of a task at most `per_task` right answers are kept, with
    `distinct` no two of them alike. With every restart from version 0 the steps become `growth`
    times as many, up to `max_steps` (STaR, arXiv 2203.14465). `kl` is the weight of the divergence
    from `reference`, at the tokens that are learned: version 0 ("first") or the version before."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["nll"] = "nll"
    steps: int = Field(default=3, gt=0)
    fresh_rows: int = Field(default=32, ge=0)
    fresh_from: Literal["unsure", "solved"] = "unsure"
    replay_rows: int = Field(default=32, ge=0)
    warmup_rows: int = Field(default=0, ge=0)
    proposal_rows: int = Field(default=0, ge=0)
    anchor_rows: int = Field(default=0, ge=0)
    role_rows: int = Field(default=0, ge=0)
    per_task: int = Field(default=1, gt=0)
    distinct: bool = True
    growth: float = Field(default=1.0, ge=1, le=10)
    max_steps: int = Field(default=1000, gt=0)
    kl: float = Field(default=0.0, ge=0)
    reference: Reference = "first"

    def num_steps(self, restarts: int) -> int:
        """Of a version that is made after so many restarts."""
        steps = float(self.steps)
        for _ in range(restarts if self.growth > 1 else 0):
            steps *= self.growth
            if steps >= self.max_steps:
                return max(self.steps, self.max_steps)
        return round(steps)

    def build(self, parts: Parts) -> "Nll":
        return Nll(self)


class Nll:
    """Mean negative log-likelihood over the completion tokens of the step, and the divergence."""

    def __init__(self, config: NllConfig) -> None:
        self._config = config

    @property
    def reference(self) -> Reference | None:
        return self._config.reference if self._config.kl else None

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        config = self._config
        solved, unsure = [], []
        for judgment in batch.judgments:
            for row in _right_answers(judgment, config.per_task, config.distinct):
                replay.add(f"{SOLVED}{judgment.attempt.task.level}", row)
                solved.append(row)
                if judgment.success < 1:
                    unsure.append(row)
        if config.proposal_rows:
            keep_proposals(batch.judgments, replay)
        # A batch with hardly any unsure task is learned from as a whole.
        enough = config.fresh_from == "unsure" and len(unsure) >= config.fresh_rows // 4
        fresh = unsure if enough else solved
        for _ in range(config.num_steps(batch.restarts)):
            rows = random.sample(fresh, min(config.fresh_rows, len(fresh)))
            missing = config.fresh_rows - len(rows)
            rows += replay.sample(config.replay_rows + missing, random, SOLVED)
            rows += replay.sample(config.warmup_rows, random, WARMUP_SOLVED)
            rows += proposal_rows(config.proposal_rows, replay, random)
            rows += replay.sample(config.anchor_rows, random, WARMUP_PROPOSED)
            rows += replay.sample(config.role_rows, random, WARMUP_ROLES)
            if rows:
                yield rows

    def __call__(self, scored: "Scored") -> "Tensor":
        weights_BT = scored.mask_BT * scored.weights_B[:, None]
        loss = -(scored.logprobs_BT * weights_BT).sum() / weights_BT.sum()
        if self._config.kl:
            apart_BT = divergence(scored) * weights_BT
            loss = loss + self._config.kl * apart_BT.sum() / weights_BT.sum()
        return loss


def _right_answers(judgment: Judgment, count: int, distinct: bool) -> list[Row]:
    """The turns that may be learned from of the first `count` right samples; where they are to be
    distinct, of those that say the same the first alone."""
    found: dict[Hashable, list[Row]] = {}
    pairs = zip(judgment.attempt.samples, judgment.verdicts, strict=True)
    for index, (sample, verdict) in enumerate(pairs):
        if not verdict.right or not sample.trainable:
            continue
        said = tuple(turn.text for turn in sample.trainable) if distinct else index
        found.setdefault(said, [row_of(turn) for turn in sample.trainable])
        if len(found) == count:
            break
    return [row for rows in found.values() for row in rows]
