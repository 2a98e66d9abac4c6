"""A broker says where clients shall come to: an address that nobody can reach is named."""

import asyncio
from pathlib import Path

import pytest

from bus.errors import Unreachable
from bus.kafka.cluster.cluster import Cluster
from bus.kafka.cluster.topics import prepare
from bus.topics import TOPICS
from evolvent.broker.broker import Broker
from harness.broker import free_port


@pytest.mark.slow
def test_an_address_that_a_broker_announces_and_nobody_can_reach_is_named(tmp_path: Path) -> None:
    port, listener, nobody = free_port(), free_port(), free_port()
    broker = Broker(tmp_path / "b", port, proxied=(listener, nobody))
    cluster = Cluster(bootstrap_servers=f"127.0.0.1:{listener}", app="case")
    try:
        broker.start()
        with pytest.raises(Unreachable) as raised:
            asyncio.run(prepare(cluster, TOPICS, create=True))
    finally:
        broker.kill()
        broker.wipe()
    said = str(raised.value)
    assert f"announces a broker at 127.0.0.1:{nobody}" in said
    assert "connection refused" in said and "advertised.listeners" in said
