"""Small work for a process that is watched: `python -m tests.observability.telemetry.small WORK`.
Prints how long its end took, and how much was lost.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

from bus.errors import BusError
from bus.events import Event, Judgment
from bus.memory.bus import MemoryBus
from bus.records import Positioned
from bus.runner import Rejected, Runner
from bus.tracing.processing import replaying
from evolvent.process import log_to_stderr
from evolvent.watching.observed import observed
from tests.bus.examples import EXAMPLES
from tests.bus.solving import RUN, Solver, answer, raises, task, until
from trainer.checkpoint.spans import learned, stepping

NUM_TASKS = 50
NUM_JUDGMENTS = 300


async def work(solver: Solver, *, fails: bool = False) -> None:
    """Answer all tasks on a bus, which may take no answers."""
    bus = MemoryBus()
    await bus.publish([task(index) for index in range(NUM_TASKS)])
    async with bus.subscribe(["tasks"], "solver", "one") as subscription:

        async def complete(done: Sequence[Positioned], outputs: Sequence[Event]) -> None:
            raise BusError("the log is broken")

        if fails:
            subscription.complete = complete  # type: ignore[method-assign]
        runner = Runner(solver, subscription, group="solver", run=RUN, concurrency=8)
        stop = asyncio.Event()
        running = asyncio.ensure_future(runner.run(stop))
        await until(
            lambda: running.done() or sum(one.backlog for one in bus.log.lag("solver")) == 0
        )
        stop.set()
        try:
            await running
        except BusError:
            assert fails


def step() -> None:
    """Learn from more judgments than a span has links by default."""
    one = EXAMPLES["judgment"]
    assert isinstance(one, Judgment)
    judgments = [
        one.model_copy(update={"id": f"{index:032x}"}) for index in range(1, NUM_JUDGMENTS + 1)
    ]
    with stepping(4, "current", judgments) as span:
        learned(span, NUM_JUDGMENTS, 2, {"loss": 0.5})


def main() -> None:
    log_to_stderr()
    replay = "again" if sys.argv[1] == "replays" else ""
    with observed(RUN, "small", replay=replay) as telemetry:
        assert telemetry is not None
        if sys.argv[1] == "step":
            step()
        elif replay:
            for index in range(NUM_TASKS):
                with replaying(answer(task(index)), "rejudge"):
                    """A judge is asked."""
        else:
            why = raises(Rejected("this one cannot be answered"))
            first = {3: why} if sys.argv[1] == "rejects" else {}
            asyncio.run(work(Solver(first=first), fails=sys.argv[1] == "fails"))
        began = time.monotonic()
    print(f"{time.monotonic() - began:.3f} {telemetry.lost}")


if __name__ == "__main__":
    main()
