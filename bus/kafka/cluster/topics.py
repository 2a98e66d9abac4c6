"""The topics of a run on Kafka: what they must look like; created, or compared with what is
there. Knows no event.

Nothing on the log is ever compacted, and `trim` alone deletes: it is the truth, and its offsets are
dense.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.codec import has_gzip, has_lz4, has_snappy, has_zstd
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from bus.errors import BusError
from bus.kafka.cluster.cluster import MAX_MESSAGE_BYTES, Cluster
from bus.kafka.cluster.identity import topic_ids
from bus.topics import Topic, co_partitioned, partitions_on

JOURNAL = "journal"
"""One partition: every commit of the run in its one order."""

BEATS = "beats"
"""One partition, kept for an hour: the signs of life of members."""

SNAPSHOTS = "snapshots"
"""One partition, compacted: what the journal tells up to some place of it. May be emptied."""

LATER = (SNAPSHOTS, "watermarks", "watermarks.dead", "lessons", "lessons.dead")
"""Topics that runs of earlier programs do not have: they are made once somebody writes."""

_COMPRESSION = "compression.type"
_CODECS = {"gzip": has_gzip, "snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}
_AT_LEAST = ("max.message.bytes", "min.insync.replicas")
_WHY = {
    "cleanup.policy": "compaction drops events",
    "retention.ms": "old events are deleted",
    "retention.bytes": "old events are deleted",
    "max.message.bytes": "large events are refused",
    "min.insync.replicas": "too few copies make a commit",
    _COMPRESSION: "events cannot be read here: install cramjam, or",
}
_UNKNOWN_TOPIC = 3
_TRIES = 20
_PAUSE_SECONDS = 0.2


class Amiss(NamedTuple):
    """One thing that should be otherwise."""

    what: str
    is_now: str
    should_be: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaTopic:
    """A topic as it is, and as it should be; one that is missing has no partitions. `replication`
    is that of its partition with the fewest copies."""

    name: str
    partitions: int
    wanted_partitions: int
    replication: int
    wanted_replication: int
    settings: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, str]

    @property
    def missing(self) -> bool:
        return not self.partitions

    def amiss(self) -> list[Amiss]:
        """Where it is not as it should be."""
        if self.missing:
            return []
        found = []
        if self.partitions != self.wanted_partitions:
            found.append(Amiss("partitions", str(self.partitions), str(self.wanted_partitions)))
        if self.replication < self.wanted_replication:
            found.append(Amiss("replication", str(self.replication), str(self.wanted_replication)))
        # Signs of life are worth nothing when they are old, and snapshots can be made again.
        for setting, wanted in self.wanted.items() if self.name not in (BEATS, SNAPSHOTS) else ():
            is_now = self.settings.get(setting, "unknown")
            enough = setting in _AT_LEAST and is_now.isdecimal() and int(is_now) >= int(wanted)
            if is_now != wanted and not enough:
                found.append(Amiss(setting, is_now, wanted))
        # Of a record as it was sent the client says itself what it lacks.
        codec = self.settings.get(_COMPRESSION, "")
        if codec in _CODECS and not _CODECS[codec]():
            found.append(Amiss(_COMPRESSION, codec, "producer"))
        return found


async def prepare(
    cluster: Cluster,
    topics: Mapping[str, Topic],
    *,
    partitions: int | None = None,
    create: bool,
    read_only: bool = False,
) -> tuple[dict[str, str], dict[str, Topic]]:
    """Every topic is there and as it should be: Kafka's own ids of them, and `topics` with the
    partitions that they have there. Raises `BusError`."""
    async with cluster.admin() as admin:
        found = await inspect(admin, cluster, topics, partitions)
        missing = [topic for topic in found if topic.missing]
        needed = [topic for topic in missing if topic.name not in LATER]
        if needed and (read_only or not create):
            raise BusError(
                f"There is no run {cluster.app!r} on Kafka at {cluster.bootstrap_servers} (the "
                f"topic {cluster.topic(needed[0].name)} is missing): check the name, or start a "
                "run."
            )
        if missing and not read_only:
            await create_missing(admin, cluster, missing)
            # Another process may have been faster, with other settings.
            found = await inspect(admin, cluster, topics, partitions)
        there = {topic.name for topic in found if not topic.missing}
        topics = {name: topic for name, topic in topics.items() if name in there}
        ids = await topic_ids(admin, cluster, [topic.name for topic in found if not topic.missing])
    if wrong := [problem for topic in found for problem in problems(cluster, topic)]:
        raise BusError(wrong[0])
    return ids, topics_of(found, topics)


def topics_of(found: Sequence[KafkaTopic], topics: Mapping[str, Topic]) -> dict[str, Topic]:
    """`topics` with the partitions that they have on the cluster."""
    there = {topic.name: topic.partitions for topic in found}
    return co_partitioned(topics, partitions_on(there, topics))


async def inspect(
    admin: AIOKafkaAdminClient,
    cluster: Cluster,
    topics: Mapping[str, Topic],
    partitions: int | None = None,
) -> list[KafkaTopic]:
    """Every topic of a run, those that are missing too. Co-partitioned topics should have as many
    partitions as the first of them that is there, else `partitions`. Raises `BusError`."""
    names = (*topics, JOURNAL, BEATS, SNAPSHOTS)
    try:
        present = set(await admin.list_topics())
        ours = [cluster.topic(name) for name in names if cluster.topic(name) in present]
        described = {one["topic"]: one for one in await admin.describe_topics(ours)} if ours else {}
        settings = await _settings(admin, ours)
    except (KafkaError, OSError, TimeoutError) as error:
        raise await cluster.explained(error) from error
    parts_of = {
        name: described.get(cluster.topic(name), {"partitions": []})["partitions"] for name in names
    }
    there = {name: len(parts) for name, parts in parts_of.items()}
    wanted = co_partitioned(topics, partitions_on(there, topics) or partitions)
    found = []
    for name, parts in parts_of.items():
        found.append(
            KafkaTopic(
                name=name,
                partitions=len(parts),
                wanted_partitions=wanted[name].partitions if name in wanted else 1,
                replication=min((len(part["replicas"]) for part in parts), default=0),
                wanted_replication=cluster.replication,
                settings=settings.get(cluster.topic(name), {}),
                wanted=wanted_settings(name, cluster.replication),
            )
        )
    return found


def wanted_settings(name: str, replication: int) -> dict[str, str]:
    """The configuration of a topic of a run."""
    copies = {"min.insync.replicas": "2" if replication > 2 else "1"}
    if name == BEATS:
        kept = {"retention.ms": str(3_600_000), "segment.ms": str(600_000)}
        return copies | kept | {"cleanup.policy": "delete"}
    if name == SNAPSHOTS:
        kept = {"cleanup.policy": "compact", "segment.ms": str(3_600_000)}
        return copies | kept | {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    return copies | {
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }


def problems(cluster: Cluster, topic: KafkaTopic) -> list[str]:
    """What is amiss with a topic that is there, and what to do: a sentence each."""
    name, said = cluster.topic(topic.name), []
    for what, is_now, should_be in topic.amiss():
        if what == "partitions":
            said.append(
                f"The topic {name} has {is_now} partitions, this program wants {should_be}: keys "
                "would lose their order; use another name for the run."
            )
        elif what == "replication":
            said.append(
                f"The topic {name} has {is_now} copies, the configuration wants {should_be}: add "
                f"them with kafka-reassign-partitions.sh, or set bus.replication={is_now}."
            )
        else:
            then = _WHY[what] if what == _COMPRESSION else f"{_WHY[what]}:"
            said.append(
                f"The topic {name} has {what}={is_now}, with which {then} run "
                f"kafka-configs.sh --bootstrap-server {cluster.bootstrap_servers} --alter "
                f"--entity-type topics --entity-name {name} --add-config {what}={should_be}"
            )
    return said


async def _settings(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    asked = dict.fromkeys(_WHY, "")
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, asked) for name in names]
    for _ in range(_TRIES if resources else 0):
        (answer,) = await admin.describe_configs(resources)
        codes = {code for code, *_ in answer.resources} - {0}
        if not codes:
            return {
                name: {entry[0]: entry[1] for entry in entries}
                for _, _, _, name, entries in answer.resources
            }
        if codes != {_UNKNOWN_TOPIC}:
            raise for_code(min(codes))("the settings of the topics cannot be read")
        # A broker may not have heard yet of what another has just created.
        await asyncio.sleep(_PAUSE_SECONDS)
    return {}


async def create_missing(
    admin: AIOKafkaAdminClient, cluster: Cluster, topics: Sequence[KafkaTopic]
) -> None:
    """Create those of `topics` that are missing, and see them; raises `BusError`."""
    fresh = [
        NewTopic(
            cluster.topic(topic.name),
            topic.wanted_partitions,
            topic.wanted_replication,
            topic_configs=dict(topic.wanted),
        )
        for topic in topics
        if topic.missing
    ]
    try:
        answer = await admin.create_topics(fresh, timeout_ms=15_000)
    except (KafkaError, OSError, TimeoutError) as error:
        raise await cluster.explained(error) from error
    for name, code, message, *_ in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            said = (message or for_code(code).__name__).rstrip(".")
            raise BusError(f"The topic {name} cannot be created: {said}.")
    names = {topic.name for topic in fresh}
    for _ in range(_TRIES):
        if names <= set(await admin.list_topics()):
            return
        await asyncio.sleep(_PAUSE_SECONDS)
