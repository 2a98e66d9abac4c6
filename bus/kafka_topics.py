"""The topics of a run on Kafka: what they must look like, created or checked. Knows no event."""

from collections.abc import Mapping

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from bus.bus import BusError, Topic
from bus.kafka_cluster import MAX_MESSAGE_BYTES, Cluster

JOURNAL = "journal"
"""One partition: every commit of the run in its one order."""

BEATS = "beats"
"""One partition, kept for an hour: the signs of life of members."""


def settings(name: str) -> dict[str, str]:
    """The configuration of a topic of a run."""
    if name == BEATS:
        return {
            "retention.ms": str(3_600_000),
            "segment.ms": str(600_000),
            "cleanup.policy": "delete",
        }
    return {
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }


async def prepare(cluster: Cluster, topics: Mapping[str, Topic], *, create: bool) -> None:
    """Every topic is there, with the right number of partitions. Raises `BusError`."""
    wanted = {name: topic.partitions for name, topic in topics.items()} | {JOURNAL: 1, BEATS: 1}
    async with cluster.admin() as admin:
        present = set(await admin.list_topics())
        missing = [name for name in wanted if cluster.topic(name) not in present]
        if missing and not create:
            raise BusError(
                f"There is no run {cluster.app!r} on Kafka at {cluster.bootstrap_servers} (the "
                f"topic {cluster.topic(missing[0])} is missing): check the name, or start a run."
            )
        if missing:
            answer = await admin.create_topics(
                [
                    NewTopic(
                        cluster.topic(name),
                        wanted[name],
                        cluster.replication,
                        topic_configs=settings(name),
                    )
                    for name in missing
                ],
                timeout_ms=15_000,
            )
            for name, code, message, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise BusError(
                        f"The topic {name} cannot be created: {message or for_code(code).__name__}."
                    )
        described = await admin.describe_topics(
            [cluster.topic(name) for name in wanted if name not in missing]
        )
    for found in described:
        name = found["topic"].removeprefix(f"{cluster.app}.")
        if len(found["partitions"]) != wanted[name]:
            raise BusError(
                f"The topic {found['topic']} has {len(found['partitions'])} partitions, this "
                f"program wants {wanted[name]}: use another name for the run."
            )
