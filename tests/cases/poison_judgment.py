"""An attempt just under the size limit is a valid event; its judgment carries it and is over the
limit. The critic dies of it, is started, takes it again, for ever; all behind it waits."""

import asyncio
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, run_case, task

OTHERS = 19


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import (
        MAX_VALUE_BYTES,
        Attempt,
        BusError,
        Judgment,
        Runner,
        Sample,
        Span,
        SqliteBus,
        Turn,
        Verdict,
        derive_id,
        encode,
    )

    class Critic:
        async def handle(self, attempt: Attempt) -> list[Judgment]:
            verdict = Verdict(scores={}, reward=1.0, reason="right", provenance="exact")
            return [
                Judgment(
                    id=derive_id("case", "critic", attempt.id), run="case", agent="critic",
                    attempt=attempt, verdicts=(verdict,) * len(attempt.samples), critic="exact",
                )
            ]  # fmt: skip

    def attempt(number: int, pad: int) -> Attempt:
        turn = Turn(
            prompt_tokens=(1,), tokens=(1,), logprobs=(0.0,), text="x" * pad,
            finish_reason="stop", spans=(Span(version=0, start=0, end=1),),
        )  # fmt: skip
        asked = task(number)
        return Attempt(
            id=derive_id("case", "solver", asked.id), run="case", agent="solver", task=asked,
            samples=(Sample(turns=(turn,)),), temperature=1.0,
        )  # fmt: skip

    bus = SqliteBus(folder / "log.sqlite")
    room = MAX_VALUE_BYTES - len(encode(attempt(0, 0))[2])
    try:
        await bus.publish([attempt(0, room - 16)])
    except BusError as error:
        return HOLDS, f"so large an attempt is refused at once: {error}"
    await bus.publish([attempt(number, 10) for number in range(1, OTHERS + 1)])
    said = ""
    for _ in range(3):
        member = bus.subscribe(["attempts"], "critic", "critic")
        runner = Runner(Critic(), member, group="critic", run="case", concurrency=64)
        try:
            await asyncio.wait_for(runner.run(), 8)
        except TimeoutError:
            pass
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        await member.close()
        heads = bus.log.heads()
        judged = sum(next for (topic, _), next in heads.items() if topic == "judgments")
        if judged == OTHERS and heads["attempts.dead", 0] == 1:
            break
    dead = heads["attempts.dead", 0]
    await bus.close()
    found = f"{judged} of {OTHERS} other attempts judged, {dead} dead letters"
    if judged == OTHERS and dead == 1:
        return HOLDS, found
    return FAULT, f"{found}; in each of three lives the critic ends: {said}"


if __name__ == "__main__":
    run_case(case)
