"""What an audit takes: bytes of memory and microseconds of a processor an event, on logs of several
lengths that are made up for it, each looked at in a process of its own. Both are to be flat.

    python benchmarks/audit.py                        # 10,000, 100,000 and 1,000,000 events
    python benchmarks/audit.py --quick                # 10,000 and 80,000
    python benchmarks/audit.py --events 10000 10000000
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bus.events import (
    Attempt,
    Event,
    Judgment,
    Sample,
    Span,
    Task,
    Turn,
    Verdict,
    Weights,
    derive_id,
)
from bus.records import to_records
from bus.sqlite.bus import SqliteBus
from bus.topics import TOPICS
from observability.audit.audit import audit

RUN = "made-up"
_AT_ONCE = 500


def events(number: int) -> Iterator[Event]:
    """A version, and tasks with their attempts and judgments."""
    first = Weights(
        id=derive_id(RUN, "trainer", "seed"),
        run=RUN,
        agent="trainer",
        number=0,
        parent=None,
        parent_id=None,
        location="checkpoints/v000000-e0001",
        files={},
        step=0,
        epoch=1,
    )
    yield first
    turn = Turn(
        prompt_tokens=(1, 2),
        tokens=(3,),
        logprobs=(-0.5,),
        text="ba",
        finish_reason="stop",
        spans=(Span(version=0, start=0, end=1),),
    )
    verdict = Verdict(scores={"exact": 1.0}, reward=1.0, reason="", provenance="exact")
    for index in range(number // 3):
        task = Task(
            id=derive_id(RUN, "proposer", first.id, index),
            run=RUN,
            agent="proposer",
            domain="strings",
            family="reverse",
            level=2,
            prompt="ab",
            question="ab",
            answer="ba",
            weights_version=0,
            granted_by=first.id,
            source="curriculum",
        )
        attempt = Attempt(
            id=derive_id(RUN, "solver", task.id),
            run=RUN,
            agent="solver",
            task=task,
            samples=(Sample(turns=(turn,)),),
            temperature=1.0,
        )
        yield from (task, attempt)
        yield Judgment(
            id=derive_id(RUN, "critic", attempt.id),
            run=RUN,
            agent="critic",
            attempt=attempt,
            verdicts=(verdict,),
            critic="exact",
        )


async def write(path: Path, said: Iterable[Event]) -> None:
    """A log of these events."""
    bus = SqliteBus(path)
    page: list[Event] = []
    for event in said:
        page.append(event)
        if len(page) == _AT_ONCE:
            await bus.append(to_records(page, TOPICS))
            page.clear()
    await bus.append(to_records(page, TOPICS))
    await bus.close()


def look(run: Path) -> None:
    """In a process of its own: what it takes, as JSON."""
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    # The peak begins anew (Linux): importing has one of its own.
    Path("/proc/self/clear_refs").write_text("5")
    began, started = _peak(), time.process_time()
    found = audit(bus, run)
    seconds = time.process_time() - started
    print(
        json.dumps({"events": found.counts["events"], "seconds": seconds, "bytes": _peak() - began})
    )


def _peak() -> int:
    """The most memory that was in use since the peak began, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [peak] = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak) * 1024


def looked(number: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(Path(folder) / "log.sqlite", events(number)))
        done = subprocess.run(
            [sys.executable, __file__, "--look", folder], capture_output=True, text=True, check=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="10,000 and 80,000 events.")
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look is not None:
        look(options.look)
        return 0
    found = [looked(number) for number in ([10_000, 80_000] if options.quick else options.events)]
    sizes = [
        {
            "events": one["events"],
            "bytes": one["bytes"],
            "microseconds_an_event": round(1e6 * one["seconds"] / one["events"], 1),
        }
        for one in found
    ]
    short, long = found[0], found[-1]
    more = long["events"] - short["events"]
    figures = {
        "sizes": sizes,
        "bytes_an_event": round((long["bytes"] - short["bytes"]) / more, 1) if more else None,
        "microseconds_an_event": sizes[-1]["microseconds_an_event"],
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
