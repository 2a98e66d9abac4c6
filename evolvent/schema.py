"""The events as an AsyncAPI 3.0 document, made from the models and the topics."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic.json_schema import models_json_schema

from bus.codec import CONTENT_TYPE, SPECVERSION, TYPE_PREFIX
from bus.events import EVENTS, DeadLetter, Event
from bus.topics import DEAD_SUFFIX, TOPICS

SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
KAFKA_BINDING = "0.5.0"

_STRING = {"type": "string"}


def asyncapi() -> dict[str, Any]:
    """Channels, operations and messages of every event; JSON-serialisable."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "evolvent",
            "version": _version(),
            "description": "What the roles of a run say to each other. CloudEvents 1.0, Kafka "
            "protocol binding, binary mode.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {name: _channel(name) for name in TOPICS},
        "operations": {
            f"{action}.{name}": _operation(name, action)
            for name in TOPICS
            for action in ("send", "receive")
        },
        "components": {
            "messages": {name: _message(model) for name, model in EVENTS.items()},
            "schemas": _schemas(),
        },
    }


def message_of(topic: str) -> type[Event]:
    """The one type of event that lies on a topic."""
    if topic.endswith(DEAD_SUFFIX):
        return DeadLetter
    return next(model for model in EVENTS.values() if model.topic == topic)


def _version() -> str:
    try:
        return version("evolvent")
    except PackageNotFoundError:
        return "0"


def _channel(name: str) -> dict[str, Any]:
    topic = TOPICS[name]
    message = message_of(name).type()
    return {
        "address": name,
        "description": f"{topic.description} Kept {topic.retention}.",
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "topic": name,
                "partitions": topic.partitions,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operation(name: str, action: str) -> dict[str, Any]:
    message = message_of(name).type()
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"}],
    }


def _message(model: type[Event]) -> dict[str, Any]:
    name = model.type()
    key = TOPICS[model.topic].key if model.topic else "event id"
    return {
        "name": TYPE_PREFIX + name,
        "title": model.__name__,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": CONTENT_TYPE,
        "headers": {"schemaFormat": SCHEMA_FORMAT, "schema": _headers(model)},
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {
            "kafka": {"key": {**_STRING, "description": key}, "bindingVersion": KAFKA_BINDING}
        },
    }


def _headers(model: type[Event]) -> dict[str, Any]:
    name = model.type()
    required = {
        "ce_specversion": {"const": SPECVERSION},
        "ce_type": {"const": TYPE_PREFIX + name},
        "ce_dataschema": {"const": f"urn:evolvent:schema:{name}:{model.version}"},
        "ce_id": {**_STRING, "pattern": "^[0-9a-f]{32}$"},
        "ce_source": {**_STRING, "format": "uri-reference", "description": "/<run>/<agent>"},
        "ce_subject": {**_STRING, "description": "the key"},
        "ce_time": {**_STRING, "format": "date-time"},
        "ce_correlationid": {**_STRING, "description": "the task, or the event itself"},
        "content-type": {"const": CONTENT_TYPE},
        "traceparent": {**_STRING, "description": "W3C trace context"},
    }
    optional = {
        "ce_causationid": {**_STRING, "description": "the event that this one answers"},
        "ce_modelversion": {**_STRING, "description": "the oldest weights version involved"},
    }
    return {"type": "object", "properties": required | optional, "required": list(required)}


def _schemas() -> dict[str, Any]:
    """Every model, and every part of one, as a multi-format schema object."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in EVENTS.values()],
        ref_template="#/components/schemas/{model}/schema",
    )
    return {
        name: {"schemaFormat": SCHEMA_FORMAT, "schema": schema}
        for name, schema in sorted(definitions["$defs"].items())
    }
