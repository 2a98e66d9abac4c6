"""Which topics these are: a topic that was deleted and made again has its name, but another id of
Kafka's. Knows no record.

The client library does not ask for ids (Metadata of Kafka's protocol, version 10, KIP-516), so the
request and its answer are spelled out.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from io import BytesIO
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from bus.errors import BusError
from bus.kafka.cluster.cluster import Cluster

_KEY, _VERSION = 3, 10
_HEARD_SECONDS, _AGAIN_SECONDS = 10.0, 0.1


class _Uuid:
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_TEXT = CompactString("utf-8")
_BROKER = (
    ("node", Int32),
    ("host", _TEXT),
    ("port", Int32),
    ("rack", _TEXT),
    ("tags", TaggedFields),
)
_PARTITION = (
    ("error", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("in_sync", CompactArray(Int32)),
    ("offline", CompactArray(Int32)),
    ("tags", TaggedFields),
)
_TOPIC = (
    ("error", Int16),
    ("name", _TEXT),
    ("id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("operations", Int32),
    ("tags", TaggedFields),
)


class _Answer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = _KEY, _VERSION
    SCHEMA = Schema(
        ("throttled_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster", _TEXT),
        ("controller", Int32),
        ("topics", CompactArray(*_TOPIC)),
        ("operations", Int32),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, RESPONSE_TYPE = _KEY, _VERSION, _Answer
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", _TEXT), ("tags", TaggedFields))),
        ("create", Boolean),
        ("cluster_operations", Boolean),
        ("topic_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Topics(Request[_Question]):  # type: ignore[misc]
    API_KEY = _KEY

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_Question]) -> _Question:
        no_tags: dict[int, bytes] = {}
        topics = [(UUID(int=0), name, no_tags) for name in self._names]
        return request_struct_class(topics, False, False, False, no_tags)


async def topic_ids(
    admin: AIOKafkaAdminClient, cluster: Cluster, names: Iterable[str]
) -> dict[str, str]:
    """Kafka's ids of the run's topics, which are there, by our names; raises `KafkaError`. A broker
    hears of a new topic a moment after others."""
    ours = {cluster.topic(name): name for name in names}
    deadline = time.monotonic() + _HEARD_SECONDS
    while True:
        answer = await admin._send_request_to_node(admin._client.get_random_node(), _Topics(ours))
        errors = {for_code(error) for error, *_ in answer.topics if error}
        if not errors:
            return {ours[name]: str(found) for _, name, found, *_ in answer.topics}
        if errors != {UnknownTopicOrPartitionError} or time.monotonic() > deadline:
            raise errors.pop()()
        await asyncio.sleep(_AGAIN_SECONDS)


def check_ids(cluster: Cluster, ids: Mapping[str, str], told: Mapping[str, str]) -> None:
    """Raises `BusError` for a topic that is not the one that the journal speaks of."""
    for name, found in ids.items():
        if told.get(name, found) != found:
            raise BusError(
                f"The topic {cluster.topic(name)} is not the one that this log was written to: it "
                f"was deleted and made again (its id is {found}, on the journal {told[name]}); "
                "restore it, or use another name for a new run."
            )
