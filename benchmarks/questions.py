"""What questions to a log take: the lineage of a version among many, what a task taught, SQL over
judgments, data sets. The log is made up for it, on SQLite.

    python benchmarks/questions.py [--versions 10000] [--judgments 30000] [--quick]

Seconds are of the processor, in one process. The last line is one JSON object; the exit code is 1
where the lineage of the newest version takes a second or more.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.audit import RUN, events, write
from bus.events import Judgment, LevelCount, Weights, derive_id
from bus.log import Log
from bus.sqlite.bus import SqliteBus
from harness.runs import show
from harness.shown import exit_code
from observability.export.sets import KINDS, Counted, rows_of
from observability.lineage.lineage import lineage
from observability.lineage.taught import taught
from observability.query.query import Query

BATCH = 64
"""Judgments that a version consumes."""

_METRICS = ("loss", "grad_norm", "tokens", "samples", "reward", "staleness_mean", "staleness_max")
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def versions(number: int, judgments: int) -> Iterator[Weights]:
    """A chain of versions, as large as those of a run; the newer consumed the later judgments."""
    parent = derive_id(RUN, "trainer", "seed")
    for count in range(1, number):
        # No partition has much less than a fourth of them.
        end = max(judgments // 5 - (number - 1 - count) * BATCH // 4, BATCH // 4)
        ranges = {f"judgments/{part}": ((end - BATCH // 4, end),) for part in range(4)}
        weights = Weights(
            id=derive_id(RUN, "trainer", parent),
            run=RUN,
            agent="trainer",
            number=count,
            parent=count - 1,
            parent_id=parent,
            location=f"checkpoints/v{count:06d}-e0001",
            files={name: "0" * 64 for name in _FILES},
            step=count,
            epoch=1,
            positions=ranges,
            trained=BATCH,
            consumed=count * BATCH,
            batch=tuple(
                LevelCount(family="reverse", level=level, tasks=8, samples=64, correct=32)
                for level in range(1, 9)
            ),
            metrics={name: count / 7 for name in _METRICS},
        )
        yield weights
        parent = weights.id


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


def asked(log: Log, run: Path, number: int) -> dict[str, Any]:
    """What each question takes, with the figures that show that it was answered."""
    found, seconds = timed(lambda: lineage(log, run, number - 1))
    if found.behind.versions != number - 1 or len(found.sources) != BATCH:
        raise SystemExit(f"{found.behind.versions} versions and {len(found.sources)} judgments")
    task = found.sources[0].task
    consumed, taught_seconds = timed(lambda: taught(log, run, task))
    heads = log.heads()
    judgments = sum(end for (topic, _), end in heads.items() if topic == Judgment.topic)
    answer, query_seconds = timed(lambda: Query(log).ask("SELECT sum(tasks) FROM success"))
    counted = Counted()
    rows, export_seconds = timed(lambda: sum(1 for _ in rows_of(log, KINDS["groups"], counted)))
    if int(answer.column(0)[0].as_py()) != judgments or rows != judgments:
        raise SystemExit(f"{answer.column(0)[0]} and {rows} of {judgments} judgments")
    return {
        "versions": number,
        "lineage_seconds": round(seconds, 3),
        "taught_seconds": round(taught_seconds, 3),
        "learners": len(consumed.learners),
        "judgments": judgments,
        "query_events_per_second": round(judgments / query_seconds),
        "export_events_per_second": round(judgments / export_seconds),
        "slow_lineages": int(seconds >= 1.0),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--judgments", type=int, default=30_000)
    parser.add_argument("--quick", action="store_true", help="2,000 versions, 3,000 judgments")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.versions, arguments.judgments = 2_000, 3_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        said = chain(
            events(3 * arguments.judgments), versions(arguments.versions, arguments.judgments)
        )
        asyncio.run(write(path, said))
        log = SqliteBus(path, read_only=True)
        figures = asked(log, Path(folder), arguments.versions)
        asyncio.run(log.close())
    show(figures)
    return exit_code(figures, {"learners": 1}, ("slow_lineages",))


if __name__ == "__main__":
    sys.exit(main())
