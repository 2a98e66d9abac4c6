"""The verdicts of a judgment, judged again by every judge that says the same each time, or by what
it has recorded. What a model of the run said is not asked again.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

from agents.judges.judge import Judge
from bus.events import Judgment, Verdict
from observability.audit.findings import Findings
from observability.replay.again import ask_again, is_same

Combine = Callable[[Sequence[Verdict]], float]


class Verdicts:
    """`types` are those of the recipe's judges, `again` the judges among them that can be asked
    again; `combine` makes one reward of several verdicts."""

    def __init__(
        self, types: Sequence[str], again: Mapping[str, Judge], combine: Combine | None
    ) -> None:
        self._types = list(types)
        self._again = again
        self._combine = combine
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._loop.close()

    def check(self, judgment: Judgment, place: str, findings: Findings) -> None:
        # One judge may make its verdict of several of its own.
        several = len(self._types) > 1
        said = [verdict.combined if several else (verdict,) for verdict in judgment.verdicts]
        if any([part.provenance for part in parts] != self._types for parts in said):
            findings.gather(
                "I12",
                "{example} was judged by others than the recipe names",
                "{number} judgments are by others than the recipe names: {examples}",
                place,
            )
            return
        for number, named in enumerate(self._types):
            if (judge := self._again.get(named)) is not None:
                parts = [verdicts[number] for verdicts in said]
                self._ask_again(judge, judgment, parts, place, findings)
        if self._combine is None:
            return
        combined = [self._combine(parts) for parts in said]
        if any(
            not math.isclose(one.reward, reward, rel_tol=1e-9, abs_tol=1e-12)
            for one, reward in zip(judgment.verdicts, combined, strict=True)
        ):
            self._wrong(place, findings)

    def _ask_again(
        self,
        judge: Judge,
        judgment: Judgment,
        said: Sequence[Verdict],
        place: str,
        findings: Findings,
    ) -> None:
        try:
            found = self._loop.run_until_complete(ask_again(judge, judgment.attempt, said))
        except Exception as error:  # whatever a verifier raises on what it never said of itself
            findings.gather(
                "I12",
                f"{{example}} cannot be judged again ({type(error).__name__})",
                "{number} judgments cannot be made again: {examples}",
                place,
            )
            return
        if len(found) != len(said) or not all(map(is_same, said, found)):
            self._wrong(place, findings)

    def _wrong(self, place: str, findings: Findings) -> None:
        findings.gather(
            "I12",
            "the rewards in {example} are not those that its judge gives",
            "the rewards in {number} judgments are not those that their judges give: {examples}",
            place,
        )
