"""One run of `benchmarks/tracing.py` in this process, watched as the environment says: its tracing
calls are there in one block of versions and taken out in the next.

    python benchmarks/_traced.py RUN PAIRS VERSIONS
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from opentelemetry.trace import INVALID_SPAN

import agents.critic
import agents.policies.follower
import agents.policies.policy
import bus.runner
import bus.tracing.context
import trainer.trainer
from bus.bus import Bus
from evolvent.roles import services
from evolvent.run.folder import RunFolder
from evolvent.voice import LogVoice
from evolvent.watching.observed import observed
from evolvent.worker import Worker
from evolvent.workplace import Workplace

LEFT_OUT = "evaluator"
"""It answers many problems for one version in some, which no two blocks would share."""

WARM_VERSIONS = 6


class NoSending:
    """What is left of a commit's spans."""

    makers: dict[str, Any] = {}  # noqa: RUF012 - nobody writes it

    def add(self, *_: Any, **__: Any) -> None: ...
    def end(self, *_: Any) -> None: ...


def _nothing(*_: Any, **__: Any) -> None: ...


CALLS: dict[tuple[Any, str], Any] = {
    (bus.runner, "processing"): lambda *_: nullcontext(INVALID_SPAN),
    (bus.runner, "invoking"): lambda *_: nullcontext(),
    (bus.runner, "Sending"): NoSending,
    (bus.runner, "finished"): _nothing,
    (bus.tracing.context, "inject"): _nothing,
    (bus.tracing.context, "made_by"): lambda *_: nullcontext(),
    (agents.policies.policy, "chatting"): lambda *_: nullcontext(_nothing),
    (agents.policies.follower, "swapping"): lambda *_: nullcontext(_nothing),
    (agents.critic, "tell"): _nothing,
    (trainer.trainer, "stepping"): lambda *_: nullcontext(INVALID_SPAN),
    (trainer.trainer, "learned"): _nothing,
    (trainer.trainer, "publishing"): lambda *_: nullcontext(),
}
"""Every call of tracing, and what stands there without it."""


@contextmanager
def taken_out(without: bool) -> Iterator[None]:
    was = {(module, name): getattr(module, name) for module, name in CALLS}
    for (module, name), nothing in CALLS.items() if without else ():
        setattr(module, name, nothing)
    try:
        yield
    finally:
        for (module, name), call in was.items():
            setattr(module, name, call)


async def reached(bus: Bus, version: int) -> None:
    while bus.log.heads()["weights", 0] <= version:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)


async def block(bus: Bus, versions: int) -> float:
    """CPU-seconds of so many versions."""
    newest = bus.log.heads()["weights", 0]
    # What was in flight before has gone.
    await reached(bus, newest + 1)
    began = time.process_time()
    await reached(bus, newest + 1 + versions)
    return time.process_time() - began


async def measured(folder: RunFolder, pairs: int, versions: int) -> dict[str, Any]:
    recipe = folder.recipe()
    bus = folder.build_log(recipe.bus, writable=True)
    place = Workplace(folder.path, folder.run_id, recipe, bus, LogVoice())
    names = [name for name in services(recipe) if name != LEFT_OUT]
    found: list[dict[str, float]] = []
    total = 0
    try:
        stop = asyncio.Event()
        serving = asyncio.ensure_future(Worker(place).run(names, stop))
        await reached(bus, bus.log.heads()["weights", 0] + WARM_VERSIONS)
        for pair in range(pairs):
            costs = {}
            for without in (False, True) if pair % 2 else (True, False):
                with taken_out(without):
                    seconds = await block(bus, versions)
                # A version grants as many tasks as it has learned from.
                count = versions * recipe.trainer.size
                costs["without" if without else "with"] = seconds / count
                total += count
            found.append(costs)
        stop.set()
        await serving
    finally:
        await bus.close()
    return {"pairs": found, "judgments": total}


def main() -> None:
    folder = RunFolder(Path(sys.argv[1]))
    with observed(folder.run_id, "run") as telemetry:
        found = asyncio.run(measured(folder, int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps(found | {"lost": telemetry.lost if telemetry else 0}))


if __name__ == "__main__":
    main()
