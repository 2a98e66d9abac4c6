"""The benchmark of many members, small: each has a partition and work, and nothing is lost."""

import asyncio

import pytest

from benchmarks.fleet import PER_PROCESS, measure
from bus.kafka.cluster.cluster import Cluster


@pytest.mark.long
def test_every_member_of_a_fleet_has_work_and_reads_little_of_what_is_written(
    cluster: Cluster,
) -> None:
    members, events = PER_PROCESS + 2, 600
    figures = asyncio.run(measure(cluster, members, events))
    assert figures["members_without_work"] == figures["lost"] == figures["duplicated"] == 0
    assert 0 < figures["fewest_events_of_a_member"] <= events / members
    assert figures["most_events_of_a_member"] < events / 2
    # Its own tenth of the tasks, the journal, and none of the answers.
    assert 0.05 < figures["fan_out"] < 0.5
    assert figures["bytes_written_per_event"] > 2_048 < figures["bytes_received_per_event"] * 2
    assert figures["cpu_microseconds_per_event"] > 0
