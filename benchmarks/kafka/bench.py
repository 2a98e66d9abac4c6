"""`benchmarks/bus.py --kafka`: a broker of its own, every row, the figures by name."""

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.kafka.facts import LARGE_COMMIT, SMALL_COMMIT, kafka_facts, startup_seconds
from benchmarks.kafka.rows import EVOLVENT, FULL, QUICK, cores, measure, ratio, ratio_at
from bus.kafka.cluster.cluster import quiet_client_log
from harness.broker import broker
from harness.shown import exit_code

BATCH = 500
"""The most events of one commit, with an instant handler; evolvent and the raw loop alike."""

SMALLER_BATCHES = (20, 100)


def shown(figures: dict[str, Any], *, quick: bool) -> int:
    """Evolvent's row holds what it promises after so many kills, and no row was spared any."""
    kills = (QUICK if quick else FULL).kills
    codes = [exit_code(one, {"kills": kills}) for one in figures["rows"].values()]
    ours = exit_code(figures["rows"][EVOLVENT], {}, ("lost", "duplicated", "unfinished"))
    return max(ours, *codes)


async def kafka_figures(*, quick: bool) -> dict[str, Any]:
    size = QUICK if quick else FULL
    quiet_client_log()
    broker_core, client_core = cores()
    # The broker inherits it; each client is given the other core.
    os.sched_setaffinity(0, {broker_core})
    with (
        tempfile.TemporaryDirectory(prefix="evolvent-kafka-") as folder,
        broker(Path(folder)) as address,
    ):
        measured = await measure(address, size, client_core, BATCH)
        ratios = {
            str(batch): await ratio_at(address, size, client_core, batch)
            for batch in SMALLER_BATCHES
        }
        os.sched_setaffinity(0, {client_core})
        facts = await kafka_facts(address, size.transactions)
        start = await startup_seconds(address, size.starts, LARGE_COMMIT)
        small = await startup_seconds(address, size.small_starts, SMALL_COMMIT)
    print(
        "ratio_to_raw_aiokafka: evolvent's events a second over those of the raw loop in the same "
        f"round, both exactly once, at most {BATCH} events in a commit, an instant handler "
        f"and a backlog of {size.events}; the median of {size.rounds} rounds"
    )
    return {
        "ratio_to_raw_aiokafka": ratio(measured),
        "ratio_to_raw_aiokafka_by_batch": ratios | {str(BATCH): ratio(measured)},
        "rows": {row: one.figures(row) for row, one in measured.items()},
        "facts": facts,
        "startup_seconds_by_size": start,
        "startup_seconds_by_size_of_small_commits": small,
    }
