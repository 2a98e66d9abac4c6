"""One client of the Kafka benchmark, in a process of its own until it is killed:

python -m benchmarks.kafka.client JOB
"""

import asyncio
import importlib
import json
import logging
import sys
from dataclasses import dataclass

from benchmarks.kafka.work import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A client, and what it promises. Only what is asked for is imported."""

    module: str
    function: str
    guarantee: str
    out_of_order: bool


ROWS = {
    "raw_aiokafka": Row(
        module="clients",
        function="raw_aiokafka",
        guarantee="exactly once with one consumer",
        out_of_order=False,
    ),
    "evolvent": Row(
        module="clients",
        function="evolvent",
        guarantee="exactly once with any number of consumers",
        out_of_order=True,
    ),
    "faststream_at_least_once": Row(
        module="peers",
        function="faststream_at_least_once",
        guarantee="at least once",
        out_of_order=False,
    ),
    "faststream_at_most_once": Row(
        module="peers",
        function="faststream_at_most_once",
        guarantee="at most once",
        out_of_order=True,
    ),
    "faststream_concurrent_aiokafka": Row(
        module="peers",
        function="faststream_concurrent",
        guarantee="at least once",
        out_of_order=True,
    ),
    "confluent_kafka": Row(
        module="peers",
        function="confluent",
        guarantee="exactly once with any number of consumers",
        out_of_order=False,
    ),
}


def main() -> None:
    logging.disable(logging.WARNING)
    job = Job(**json.loads(sys.argv[1]))
    row = ROWS[job.row]
    module = importlib.import_module(f"benchmarks.kafka.{row.module}")
    asyncio.run(getattr(module, row.function)(job))


if __name__ == "__main__":
    main()
