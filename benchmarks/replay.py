"""What a long log's past costs whoever asks for it: questions in SQL of an archive's columns and of
the log, the lineage of a version among many, what a task taught, data sets, the state of every
agent at a position, by the length of what lies before it, all attempts judged again. The log is
made up for it, on SQLite.

    python benchmarks/replay.py [--events 1000000] [--versions 10000] [--quick] [--past]

Seconds are of the processor, all threads together: what one core takes. With `--past` the state at
positions and lineages alone are asked for, of logs too long for the rest. The last line is one JSON
object; the exit code is 1 where a bar is missed: a second for the lineage of the newest version,
five for a state of up to a million events from snapshots, and from a million events on 500,000 of
them a second in columns and 50,000 in the fold. Of a shorter log what is opened first is most of
it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._judged_again import as_run, judged_again
from benchmarks.audit import RUN, events, write
from bus.events import Judgment, LevelCount, Weights, derive_id
from bus.log import Log
from bus.sqlite.bus import SqliteBus
from harness.runs import show
from harness.shown import exit_code
from observability.archive.archive import opened
from observability.archive.archivist import Archivist
from observability.archive.log import ArchiveLog
from observability.archive.place import Place, place_of
from observability.export.sets import KINDS, Counted, rows_of
from observability.lineage.lineage import lineage
from observability.lineage.taught import taught
from observability.query.archived import ArchivedTables
from observability.query.query import Query
from observability.replay.observe import observe
from observability.replay.snapshots import Snapshots

QUESTIONS = {
    "success": "SELECT level, sum(correct) AS right, sum(tasks) AS tasks FROM success GROUP BY 1",
    "learnability": "SELECT count(*) AS n, sum(tasks * learnability) AS whole FROM learnability",
    "staleness": "SELECT sum(judgments) AS judgments, max(most) AS most FROM staleness",
    "unique_tasks": "FROM unique_tasks",
    "reward_by_judge": "FROM reward_by_judge",
    "latency": "SELECT median(date_diff('millisecond', t.created_at, j.created_at)) AS ms "
    "FROM tasks t JOIN judgments j ON j.task = t.id",
}
"""What is asked first of a run, and one that joins two long tables."""
READS = {
    "staleness": ("judgments", "weights"),
    "unique_tasks": ("tasks",),
    "latency": ("tasks", "judgments"),
}
"""Topics that a question is about, where these are not the judgments alone."""
COLUMNAR, FOLDED, LONG = 500_000, 50_000, 1_000_000
"""Events of these a second, of so many; the log is read meanwhile."""
FROM_SNAPSHOT_SECONDS = 5.0
SHORT = 10_000
"""The shortest that is folded for its cost."""
SHARE = 0.63
"""Of every partition: a position in the middle."""

_METRICS = ("loss", "grad_norm", "tokens", "samples", "reward", "staleness_mean", "staleness_max")
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def versions(number: int, share: int) -> Iterator[Weights]:
    """A chain of versions, as large as those of a run, each of which consumed the next `share`
    judgments of every partition."""
    parent = derive_id(RUN, "trainer", "seed")
    for count in range(1, number):
        ranges = {f"judgments/{part}": (((count - 1) * share, count * share),) for part in range(4)}
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
            trained=4 * share,
            consumed=count * 4 * share,
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


def looked_back(log: Log, run: Path, number: int, share: int) -> dict[str, Any]:
    """What each question that is not of columns takes."""
    found, seconds = timed(lambda: lineage(log, run, number - 1))
    if found.behind.versions != number - 1 or len(found.sources) != 4 * share:
        raise SystemExit(f"{found.behind.versions} versions and {len(found.sources)} judgments")
    task = found.sources[0].task
    consumed, taught_seconds = timed(lambda: taught(log, run, task))
    return {
        "versions": number,
        "lineage_seconds": round(seconds, 3),
        "taught_seconds": round(taught_seconds, 3),
        "learners": len(consumed.learners),
        "slow_lineages": int(seconds >= 1.0),
    }


def exported(log: Log) -> dict[str, Any]:
    """How many rows show that it was done."""
    rows, seconds = timed(lambda: sum(1 for _ in rows_of(log, KINDS["groups"], Counted())))
    return {"exported": rows, "export_events_per_second": round(rows / seconds)}


def archived(log: Log, place: Place) -> dict[str, Any]:
    archivist = Archivist(log, place, RUN)
    _, seconds = timed(archivist.catch_up)
    files = (*archivist.manifest.files, *archivist.manifest.tables)
    count = sum(archivist.manifest.ends.values())
    return {
        "events": count,
        "archive_events_per_second": round(count / seconds),
        "archive_bytes_per_event": round(sum(file.size for file in files) / count),
    }


def of_columns(place: Place, sql: str) -> Any:
    """The answer, with all that it takes to open the archive."""
    log = ArchiveLog(opened(place, RUN))
    return Query(log, ArchivedTables(log.archive, log.heads())).ask(sql)


def columnar(log: Log, place: Place) -> dict[str, Any]:
    """Every question of the archive's columns, and the same of the log."""
    heads, whole = log.heads(), Query(log)
    figures: dict[str, Any] = {"wrong_answers": 0, "slow_questions": 0}
    for name, sql in QUESTIONS.items():
        topics = READS.get(name, (Judgment.topic,))
        count = sum(end for (topic, _), end in heads.items() if topic in topics)
        answer, seconds = timed(partial(of_columns, place, sql))
        expected, log_seconds = timed(partial(whole.ask, sql))
        figures[f"{name}_events_per_second"] = round(count / seconds)
        if name == "success":
            figures["success_of_log_events_per_second"] = round(count / log_seconds)
        figures["wrong_answers"] += int(not expected.equals(answer))
        is_slow = sum(heads.values()) >= LONG and count / seconds < COLUMNAR
        figures["slow_questions"] += int(is_slow)
    return figures


def observed(log: Log, folder: Path) -> dict[str, Any]:
    """The state at the end and in the middle: of the log, from snapshots."""
    middle = {at: int(end * SHARE) for at, end in log.heads().items()}
    whole, seconds = timed(lambda: observe(log).digest)
    kept = Snapshots(folder, RUN)
    _, leaving_seconds = timed(lambda: observe(log, None, kept))
    again, again_seconds = timed(lambda: observe(log, None, kept).digest)
    early, early_seconds = timed(lambda: observe(log, middle, kept).digest)
    count, longest = sum(log.heads().values()), max(again_seconds, early_seconds)
    is_slow = count >= LONG and count / seconds < FOLDED
    return {
        "fold_events_per_second": round(count / seconds),
        "fold_leaving_snapshots_events_per_second": round(count / leaving_seconds),
        "from_snapshot_seconds": round(longest, 3),
        "wrong_states": int(whole != again) + int(early != observe(log, middle).digest),
        "slow_folds": int(is_slow or (count < 2 * LONG and longest >= FROM_SNAPSHOT_SECONDS)),
    }


def observed_there(log: Log, place: Place) -> dict[str, Any]:
    """The same of the archive."""
    found, seconds = timed(lambda: observe(ArchiveLog(opened(place, RUN))).digest)
    return {
        "fold_of_archive_events_per_second": round(sum(log.heads().values()) / seconds),
        "other_states": int(found != observe(log).digest),
    }


def by_length(log: Log) -> dict[str, float]:
    """Microseconds an event of the fold, up to positions at a tenth, a hundredth, ..."""
    heads, costs = log.heads(), dict[str, float]()
    size = whole = sum(heads.values())
    while size >= SHORT:
        before = {at: end * size // whole for at, end in heads.items()}
        state, seconds = timed(partial(observe, log, before))
        costs[str(size)] = round(seconds / state.num_events * 1e6, 1)
        size //= 10
    return dict(reversed(costs.items()))


def share_of(number: int, num_versions: int) -> int:
    """Judgments of a partition that a version consumes: none has much less than a fourth."""
    return number // 3 * 62 // 250 // num_versions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="2,000 versions, 100,000 events")
    parser.add_argument("--past", action="store_true", help="states and lineages alone")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.versions, arguments.events = 2_000, 100_000
    number, length = arguments.versions, arguments.events
    wanted = {"learners": 1}
    none = ["slow_lineages", "slow_folds", "wrong_states"]
    with tempfile.TemporaryDirectory() as folder:
        work, share = Path(folder), share_of(length, number)
        path = work / "log.sqlite"
        asyncio.run(write(path, chain(events(length), versions(number, share))))
        bus, run = SqliteBus(path, read_only=True), as_run(work, RUN)
        figures = looked_back(bus, work, number, share)
        figures |= observed(bus, work / "replay") | {"fold_microseconds": by_length(bus)}
        if not arguments.past:
            place = place_of(work / "archive")
            figures |= archived(bus, place) | exported(bus) | columnar(bus, place)
            figures |= observed_there(bus, place) | judged_again(run, bus)
            wanted |= {"exported": length // 3, "events": length, "judged_again": length // 3}
            none += ["slow_questions", "wrong_answers", "other_states", "otherwise_judged"]
        asyncio.run(bus.close())
    show(figures)
    return exit_code(figures, wanted, none)


if __name__ == "__main__":
    sys.exit(main())
