"""The AsyncAPI document: whole, consistent, and true of what is written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.events import EVENTS
from bus.topics import TOPICS
from evolvent.schema import SCHEMA_FORMAT, asyncapi

GOLDEN = Path(__file__).parents[1] / "bus" / "golden"
DOCUMENT: dict[str, Any] = json.loads(json.dumps(asyncapi()))
EVENTS_BY_TOPIC = {model.topic: name for name, model in EVENTS.items() if model.topic}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolve(reference: str) -> Any:
    part: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > len(TOPICS)
    for reference in found:
        assert resolve(reference), reference


def test_parts_of_a_schema_are_schemas() -> None:
    found = {
        reference
        for entry in DOCUMENT["components"]["schemas"].values()
        for reference in references(entry)
    }
    assert len(found) > 5
    for reference in found:
        assert resolve(reference)["type"] == "object", reference


def test_every_topic_is_a_channel_with_its_one_message() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["channels"].keys() == TOPICS.keys()
    for name, channel in DOCUMENT["channels"].items():
        assert channel["address"] == channel["bindings"]["kafka"]["topic"] == name
        assert channel["bindings"]["kafka"]["partitions"] == TOPICS[name].partitions
        expected = "deadletter" if name.endswith(".dead") else EVENTS_BY_TOPIC[name]
        assert list(channel["messages"]) == [expected]


def test_every_channel_is_written_and_read() -> None:
    actions = {
        (operation["action"], operation["channel"]["$ref"].removeprefix("#/channels/"))
        for operation in DOCUMENT["operations"].values()
    }
    assert actions == {(action, name) for action in ("send", "receive") for name in TOPICS}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_written_has_the_headers_and_fields_that_are_promised(path: Path) -> None:
    golden = json.loads(path.read_text())
    message = DOCUMENT["components"]["messages"][path.stem.split("-")[0]]
    assert message["name"] == golden["headers"]["ce_type"]

    headers = message["headers"]
    assert headers["schemaFormat"] == SCHEMA_FORMAT
    assert set(headers["schema"]["required"]) <= golden["headers"].keys()
    assert golden["headers"].keys() <= headers["schema"]["properties"].keys()
    for name, promised in headers["schema"]["properties"].items():
        if "const" in promised and name != "ce_dataschema":
            assert golden["headers"][name] == promised["const"]

    payload = resolve(message["payload"]["$ref"])
    assert payload["schemaFormat"] == SCHEMA_FORMAT
    assert set(payload["schema"]["required"]) <= golden["value"].keys()
    assert golden["value"].keys() <= payload["schema"]["properties"].keys()


def test_packed_arrays_are_declared_as_what_they_are_on_the_wire() -> None:
    turn = DOCUMENT["components"]["schemas"]["Turn"]["schema"]["properties"]
    assert turn["tokens"]["type"] == turn["logprobs"]["type"] == "string"
    assert turn["tokens"]["contentEncoding"] == "base64"
    assert "int32 little-endian" in turn["tokens"]["description"]
    assert "float32 little-endian" in turn["logprobs"]["description"]
