"""Runs of their own on a broker: topics under a name that no other test uses."""

from uuid import uuid4

from aiokafka.admin import NewTopic
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from bus.kafka.cluster.cluster import Cluster


def new_run(address: str) -> Cluster:
    return Cluster(bootstrap_servers=address, app=f"test-{uuid4().hex[:12]}")


async def forget(cluster: Cluster) -> None:
    """Delete everything of a run."""
    async with cluster.admin() as admin:
        ours = [name for name in await admin.list_topics() if name.startswith(f"{cluster.app}.")]
        if ours:
            await admin.delete_topics(ours)


async def create_topic(
    cluster: Cluster, name: str, settings: dict[str, str] | None = None
) -> TopicPartition:
    """A topic of one partition among those of the run."""
    async with cluster.admin() as admin:
        topic = NewTopic(cluster.topic(name), 1, 1, topic_configs=settings or {})
        await admin.create_topics([topic], timeout_ms=15_000)
    return TopicPartition(cluster.topic(name), 0)


async def kafkas_offset(cluster: Cluster, place: TopicPartition) -> OffsetAndMetadata | None:
    """What Kafka itself keeps for the group `group`."""
    async with cluster.admin() as admin:
        return (await admin.list_consumer_group_offsets(f"{cluster.app}.group")).get(place)
