"""How many bytes each topic takes on the brokers' disks. Knows no run.

The client library cannot ask for this (DescribeLogDirs of Kafka's protocol, version 1), so the
request and its answer are spelled out.
"""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

_KEY, _VERSION = 35, 1
_PARTITION = (
    ("partition", Int32),
    ("size", Int64),
    ("offset_lag", Int64),
    ("is_future", Boolean),
)
_TOPIC = (("name", String("utf-8")), ("partitions", Array(*_PARTITION)))
_FOLDER = (("error", Int16), ("folder", String("utf-8")), ("topics", Array(*_TOPIC)))


class _Answer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = _KEY, _VERSION
    SCHEMA = Schema(("throttled_ms", Int32), ("folders", Array(*_FOLDER)))


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, RESPONSE_TYPE = _KEY, _VERSION, _Answer
    SCHEMA = Schema(
        ("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))),
    )


class _Sizes(Request[_Question]):  # type: ignore[misc]
    API_KEY = _KEY

    def __init__(self, partitions: Mapping[str, Sequence[int]]) -> None:
        self._partitions = partitions

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class(
            [(name, list(parts)) for name, parts in self._partitions.items()]
        )


async def topic_bytes(
    admin: AIOKafkaAdminClient, partitions: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Bytes of one copy of each topic; raises `KafkaError`."""
    brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
    copies: dict[tuple[str, int], int] = {}
    for broker in brokers:
        answer = await admin._send_request_to_node(broker, _Sizes(partitions))
        for error, _, topics in answer.folders:
            if error:
                raise for_code(error)()
            for name, parts in topics:
                for part, size, _, is_future in parts:
                    if not is_future:
                        copies[name, part] = max(size, copies.get((name, part), 0))
    sizes = dict.fromkeys(partitions, 0)
    for (name, _), size in copies.items():
        sizes[name] += size
    return sizes
