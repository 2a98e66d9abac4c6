"""Who judges: one verdict per sample of an attempt, by the judge of the recipe."""

from collections.abc import Sequence

from agents.judges.judge import Judge
from bus.events import Attempt, Judgment, derive_id

AGENT = "critic"


class Critic:
    """Attempt in, judgment out."""

    def __init__(self, run: str, judge: Judge) -> None:
        self._run = run
        self._judge = judge

    async def handle(self, event: Attempt) -> Sequence[Judgment]:
        judgment = Judgment(
            id=derive_id(self._run, AGENT, event.id),
            run=self._run,
            agent=AGENT,
            attempt=event,
            verdicts=self._judge.judge(event),
            critic=type(self._judge).__name__.lower(),
        )
        return [judgment]
