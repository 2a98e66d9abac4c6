"""Who judges: one verdict per sample of an attempt, by the judges of the recipe."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from agents.judges.combined import Rule
from agents.judges.judge import Judge
from bus.events import Attempt, Judgment, derive_id

AGENT = "critic"


class CriticConfig(BaseModel):
    """How the verdicts of several judges are made one: `combine` says by which rule, `weights` what
    each counts in a sum (none: all the same share of 1). At most `concurrency` attempts are judged
    at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    combine: Rule = "product"
    weights: tuple[float, ...] = ()
    concurrency: int = Field(default=128, gt=0)


class Critic:
    """Attempt in, judgment out. `name` is what the judge is called on the log."""

    def __init__(self, run: str, judge: Judge, name: str) -> None:
        self._run = run
        self._judge = judge
        self._name = name

    async def handle(self, event: Attempt) -> Sequence[Judgment]:
        judgment = Judgment(
            id=derive_id(self._run, AGENT, event.id),
            run=self._run,
            agent=AGENT,
            attempt=event,
            verdicts=await self._judge.judge(event),
            critic=self._name,
        )
        return [judgment]
