"""What `evolvent topics` finds: the topics of a log as they are and as they should be, how many
events each holds, and what is wrong. Knows no role.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bus.config import BusConfig, KafkaConfig
from bus.topics import TOPICS, partitions_on
from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe, shipped
from evolvent.run.folder import RunFolder

_OWN = {
    "journal": "Every commit of the run, in its one order.",
    "beats": "Signs of life of the members of groups.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`rows` as programs read them, `problems` a sentence each. `place` is where topics have
    settings, empty where they have none."""

    rows: list[dict[str, Any]]
    place: str = ""
    problems: tuple[str, ...] = ()


def survey(
    run: Path | None, url: str | None, settings: Sequence[str] = (), *, create: bool = False
) -> Survey:
    """The topics of a run, of the bus at `url` with `settings` of the section `bus`, or, of
    neither, what they are. Raises `UsageError` and `BusError`."""
    if run is not None and (url is not None or settings):
        raise UsageError("name the folder of a run or --bus, not both: the run knows its bus")
    if run is None and url is None:
        return Survey(rows=_rows({}))
    folder = RunFolder(run) if run is not None else None
    config = folder.bus() if folder is not None else _named(url or "", settings)
    path = run or Path()
    if isinstance(config, KafkaConfig):
        return asyncio.run(_survey_kafka(config, path, create))
    return asyncio.run(_survey_file(config, path))


def _named(url: str, settings: Sequence[str]) -> BusConfig:
    if foreign := [one for one in settings if not one.startswith("bus.")]:
        raise UsageError(f"--set {foreign[0]}: topics follow from bus.* alone")
    # Any recipe will do: only what it says of the bus is looked at.
    config = load_recipe(next(iter(shipped())), settings, url).bus
    if isinstance(config, KafkaConfig) and config.app:
        return config
    raise UsageError(f"--bus {url}: name the run too, as in kafka://host:port/words")


async def _survey_file(config: BusConfig, path: Path) -> Survey:
    bus = await asyncio.to_thread(config.build, path, read_only=True)
    try:
        heads = await asyncio.to_thread(bus.log.heads)
        parts = Counter(topic for topic, _ in heads)
        said = _other_number(config, partitions_on(parts, TOPICS), config.place(path))
        return Survey(rows=_rows(_counts(heads), parts), problems=tuple(said))
    finally:
        await bus.close()


async def _survey_kafka(config: KafkaConfig, path: Path, create: bool) -> Survey:
    cluster = config.cluster(path)
    from aiokafka.errors import KafkaError

    from bus.kafka.cluster.cluster import quiet_client_log
    from bus.kafka.cluster.sizes import topic_bytes
    from bus.kafka.cluster.topics import create_missing, inspect, problems

    quiet_client_log()
    async with cluster.admin() as admin:
        found = await inspect(admin, cluster, TOPICS, config.partitions)
        if create and any(topic.missing for topic in found):
            await create_missing(admin, cluster, found)
            found = await inspect(admin, cluster, TOPICS, config.partitions)
        present = {
            cluster.topic(one.name): range(one.partitions) for one in found if one.partitions
        }
        try:
            sizes = await topic_bytes(admin, present)
        except (KafkaError, OSError, TimeoutError):
            # Some clusters do not let everybody look at disks.
            sizes = {}
    missing = [cluster.topic(one.name) for one in found if one.missing]
    said = [problem for one in found for problem in problems(cluster, one)]
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        said.append(f"The topic {missing[0]}{more} is missing: make it with --create.")
    there = {one.name: one.partitions for one in found}
    said += _other_number(config, partitions_on(there, TOPICS), config.place(path))
    counts: Mapping[str, int] = {}
    if not said:
        bus = await asyncio.to_thread(config.build, path, read_only=True)
        counts = _counts(await asyncio.to_thread(bus.log.heads))
        await bus.close()
    rows = {row["name"]: row for row in _rows(counts)}
    for topic in found:
        row = rows.setdefault(topic.name, {"name": topic.name, "key": "", "events": None})
        row.setdefault("description", _OWN.get(topic.name, ""))
        row |= {
            "topic": cluster.topic(topic.name),
            "partitions": topic.partitions,
            "replication": topic.replication,
            "settings": dict(topic.settings),
            "wanted": {
                "partitions": topic.wanted_partitions,
                "replication": topic.wanted_replication,
                "settings": dict(topic.wanted),
            },
            "bytes": sizes.get(cluster.topic(topic.name)),
            "events": row["events"] if not said else None,
            "amiss": [each._asdict() for each in topic.amiss()],
        }
    place = f"run {cluster.app} on Kafka at {cluster.bootstrap_servers}"
    return Survey(rows=list(rows.values()), place=place, problems=tuple(said))


def _other_number(config: BusConfig, there: int | None, place: str) -> list[str]:
    if there in (None, config.partitions) or "partitions" not in config.model_fields_set:
        return []
    return [
        f"{place} has {there} partitions and bus.partitions = {config.partitions}: the number of a "
        "log cannot change; use another name for the run."
    ]


def _rows(
    counts: Mapping[str, int], partitions: Mapping[str, int] = MappingProxyType({})
) -> list[dict[str, Any]]:
    return [
        {
            **asdict(topic),
            "partitions": partitions.get(name, topic.partitions),
            "events": counts.get(name, 0),
        }
        for name, topic in TOPICS.items()
    ]


def _counts(heads: Mapping[tuple[str, int], int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (topic, _), end in heads.items():
        counts[topic] = counts.get(topic, 0) + end
    return counts
