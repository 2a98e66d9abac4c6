"""Who judges: one verdict per sample of an attempt, by the judges of the recipe."""

from collections.abc import Sequence
from math import isfinite

from pydantic import BaseModel, ConfigDict, Field

from agents.judges.combined import Rule
from agents.judges.judge import Judge
from agents.judges.results import tell
from bus.codec import VERDICTS_BYTES
from bus.events import Attempt, Judgment, Verdict, derive_id
from bus.runner import Rejected

AGENT = "critic"

_SHORT_REASON = 60


class CriticConfig(BaseModel):
    """How the verdicts of several judges are made one: `combine` says by which rule, `weights` what
    each counts in a sum (none: all the same share of 1). At most `concurrency` attempts are judged
    at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    combine: Rule = "product"
    weights: tuple[float, ...] = ()
    concurrency: int = Field(default=128, gt=0)


class Critic:
    """Attempt in, judgment out. `name` is what the judge is called on the log; an attempt that it
    has no proper verdicts for is rejected."""

    def __init__(self, run: str, judge: Judge, name: str) -> None:
        self._run = run
        self._judge = judge
        self._name = name

    async def handle(self, event: Attempt) -> Sequence[Judgment]:
        verdicts = proper(await self._judge.judge(event), event, self._name)
        judgment = Judgment(
            id=derive_id(self._run, AGENT, event.id),
            run=self._run,
            agent=AGENT,
            attempt=event,
            verdicts=verdicts,
            critic=self._name,
        )
        tell(judgment)
        return [judgment]


def proper(verdicts: tuple[Verdict, ...], attempt: Attempt, name: str) -> tuple[Verdict, ...]:
    """What the judge `name` said of an attempt, as a judgment has it. Raises `Rejected`."""
    if len(verdicts) != len(attempt.samples):
        raise Rejected(f"{name} gave {len(verdicts)} verdicts for {len(attempt.samples)} samples")
    numbers = (
        one
        for verdict in verdicts
        for one in (verdict.reward, *verdict.scores.values(), *verdict.seats.values())
    )
    if not all(map(isfinite, numbers)):
        raise Rejected(f"{name} gave a reward or a score that is no number")
    return brief(verdicts)


def brief(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Verdicts as an attempt has room for them, one sample's no more than another's: what says too
    much keeps its reward and its scores. Raises `Rejected` where even those are too much."""
    share = VERDICTS_BYTES // max(len(verdicts), 1)
    return tuple(one if _is_plain(one) else _within(one, share) for one in verdicts)


def _is_plain(verdict: Verdict) -> bool:
    """Whether it certainly fits into the least share."""
    names = (*verdict.scores, *verdict.seats)
    said = len(verdict.reason) + len(verdict.provenance) + sum(map(len, names))
    plain = verdict.turn is None and verdict.call is None
    return plain and not verdict.combined and said + 24 * len(names) < 60


def _within(verdict: Verdict, share: int) -> Verdict:
    shorter = {"turn": None, "call": None, "reason": verdict.reason[:_SHORT_REASON]}
    parts = tuple(one.model_copy(update=shorter) for one in verdict.combined)
    tries = (
        verdict,
        verdict.model_copy(update={"combined": parts, **shorter}),
        verdict.model_copy(update={"combined": (), **shorter}),
    )
    for one in tries:
        if len(one.model_dump_json()) <= share:
            return one
    raise Rejected(f"{verdict.provenance[:80]} gave scores that take over {share:,} bytes a sample")
