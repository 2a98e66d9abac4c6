"""Runs of their own on the broker of the tests: topics under a name that no other test uses."""

import os
from uuid import uuid4

from bus.kafka_cluster import Cluster

BROKER = os.environ.get("EVOLVENT_TEST_KAFKA", "127.0.0.1:19092")


def new_run() -> Cluster:
    return Cluster(bootstrap_servers=BROKER, app=f"test-{uuid4().hex[:12]}")


async def forget(cluster: Cluster) -> None:
    """Delete everything of a run."""
    async with cluster.admin() as admin:
        ours = [name for name in await admin.list_topics() if name.startswith(f"{cluster.app}.")]
        if ours:
            await admin.delete_topics(ours)
