"""The events and the golden files: what was ever written stays readable, and means the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bus.codec import encode
from bus.events import EVENTS, Attempt, Event, derive_id
from bus.records import Record
from tests.bus.examples import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"


def golden_path(model: type[Event]) -> Path:
    return GOLDEN / f"{model.type()}-{model.version}.json"


def to_golden(event: Event) -> dict[str, Any]:
    """What stands in a golden file: the record as written, and the schema of that day."""
    _, headers, value = encode(event)
    return {
        "headers": headers,
        "value": json.loads(value),
        "schema": type(event).model_json_schema(),
    }


def record_of(golden: dict[str, Any]) -> Record:
    value = json.dumps(golden["value"]).encode()
    return Record(topic="", partition=0, offset=0, key="", headers=golden["headers"], value=value)


def every_golden() -> list[Path]:
    return sorted(GOLDEN.glob("*.json"))


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a reader or writer of the old schema would trip over in the new one."""
    faults = []
    olds = {"": old, **old.get("$defs", {})}
    news = {"": new, **new.get("$defs", {})}
    for name, was in olds.items():
        now = news.get(name, {"properties": {}})
        for field, schema in was.get("properties", {}).items():
            if field not in now["properties"]:
                faults.append(f"{name}.{field} is gone")
            elif _meaning(schema) != _meaning(now["properties"][field]):
                faults.append(f"{name}.{field} has another type")
        more = set(now.get("required", ())) - set(was.get("required", ()))
        faults += [f"{name}.{field} is required now" for field in sorted(more)]
    return faults


def _meaning(schema: Any) -> Any:
    """The schema without words and defaults."""
    if isinstance(schema, dict):
        words = {"title", "description", "default"}
        return {name: _meaning(part) for name, part in schema.items() if name not in words}
    return [_meaning(part) for part in schema] if isinstance(schema, list) else schema


JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def refusals(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str) -> list[str]:
    """What a reader by the schema `root`, which ignores fields that it does not know, would not
    take of `value`."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        tries = [refusals(value, one, root, where) for one in schema["anyOf"]]
        return min(tries, key=len)
    kind = schema.get("type")
    if kind is not None and not isinstance(value, JSON_TYPES[kind]):
        return [f"{where} is no {kind}"]
    faults = []
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        faults.append(f"{where} is another word")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        faults.append(f"{where} is spelt differently")
    if isinstance(value, dict):
        faults += [
            f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value
        ]
        others = schema.get("additionalProperties")
        for name, piece in value.items():
            known = schema.get("properties", {}).get(name, others)
            if isinstance(known, dict):
                faults += refusals(piece, known, root, f"{where}.{name}")
    if isinstance(value, list):
        places = schema.get("prefixItems", [schema.get("items", {})] * len(value))
        for index, (piece, known) in enumerate(zip(value, places, strict=True)):
            faults += refusals(piece, known, root, f"{where}.{index}")
    return faults


def unset_fields(part: BaseModel, where: str, within: tuple[type, ...] = ()) -> list[str]:
    """Fields that an example leaves out or empty, in all its parts; what lies within a part of its
    own kind need not show everything again."""
    if type(part) in within:
        return []
    unset = []
    for name in type(part).model_fields:
        value = getattr(part, name)
        if name not in part.model_fields_set or value in (None, (), {}, ""):
            unset.append(f"{where}.{name}")
        for piece in value if isinstance(value, tuple) else (value,):
            if isinstance(piece, BaseModel):
                unset += unset_fields(piece, f"{where}.{name}", (*within, type(part)))
    return unset


@pytest.mark.parametrize("model", EVENTS.values(), ids=EVENTS)
def test_every_event_has_a_golden_file_of_its_version(model: type[Event]) -> None:
    path = golden_path(model)
    wanted = json.dumps(to_golden(EXAMPLES[model.type()]), indent=1)
    assert path.exists(), f"a new event or version: store this as {path}\n{wanted}"


@pytest.mark.parametrize("model", EVENTS.values(), ids=EVENTS)
def test_examples_leave_no_field_out(model: type[Event]) -> None:
    assert unset_fields(EXAMPLES[model.type()], model.type()) == []


@pytest.mark.parametrize("model", EVENTS.values(), ids=EVENTS)
def test_golden_file_reads_as_its_example(model: type[Event]) -> None:
    golden = json.loads(golden_path(model).read_text())
    assert record_of(golden).event() == EXAMPLES[model.type()]


@pytest.mark.parametrize("path", every_golden(), ids=lambda path: path.stem)
def test_golden_file_is_written_again_with_nothing_lost(path: Path) -> None:
    golden = json.loads(path.read_text())
    _, headers, value = encode(record_of(golden).event())
    headers["ce_dataschema"] = golden["headers"]["ce_dataschema"]
    assert headers.items() >= golden["headers"].items()
    assert _lost(golden["value"], json.loads(value)) == []


@pytest.mark.parametrize("path", every_golden(), ids=lambda path: path.stem)
def test_schema_of_every_version_is_still_kept(path: Path) -> None:
    golden = json.loads(path.read_text())
    model = EVENTS[golden["headers"]["ce_type"].removeprefix("evolvent.")]
    assert breaks(golden["schema"], model.model_json_schema()) == []


@pytest.mark.parametrize("path", every_golden(), ids=lambda path: path.stem)
def test_a_reader_of_every_version_reads_what_is_written_now(path: Path) -> None:
    golden = json.loads(path.read_text())
    name = golden["headers"]["ce_type"].removeprefix("evolvent.")
    written = json.loads(encode(EXAMPLES[name])[2])
    assert refusals(written, golden["schema"], golden["schema"], name) == []


def _lost(old: Any, new: Any, where: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        missing = [f"{where}.{name}" for name in old.keys() - new.keys()]
        return missing + [
            fault
            for name in old.keys() & new.keys()
            for fault in _lost(old[name], new[name], f"{where}.{name}")
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            fault
            for index, pair in enumerate(zip(old, new, strict=True))
            for fault in _lost(*pair, f"{where}.{index}")
        ]
    return [] if old == new else [f"{where}: {old!r} became {new!r}"]


def test_breaking_changes_of_a_schema_are_found() -> None:
    def changed(**fields: Any) -> dict[str, Any]:
        schema: dict[str, Any] = json.loads(json.dumps(Attempt.model_json_schema()))
        properties = schema["$defs"]["Turn"]["properties"]
        for name, field in fields.items():
            properties.pop(name, None)
            if field is not None:
                properties[name] = field
        return schema

    old = Attempt.model_json_schema()
    assert breaks(old, old) == []
    assert breaks(old, changed(note={"type": "string", "default": ""})) == []
    assert breaks(old, changed(text=None)) == ["Turn.text is gone"]
    assert breaks(old, changed(text=None, words={"type": "string"})) == ["Turn.text is gone"]
    assert breaks(old, changed(text={"type": "integer"})) == ["Turn.text has another type"]
    narrowed = changed(finish_reason={"enum": ["stop", "length"], "type": "string"})
    assert breaks(old, narrowed) == ["Turn.finish_reason has another type"]
    more = changed(note={"type": "string"})
    more["$defs"]["Turn"]["required"].append("note")
    assert breaks(old, more) == ["Turn.note is required now"]
    del more["$defs"]["Turn"]
    assert "Turn.tokens is gone" in breaks(old, more)


def test_what_a_reader_would_not_take_is_found() -> None:
    def refused(**fields: Any) -> list[str]:
        schema = Attempt.model_json_schema()
        turn = {**written["samples"][0]["turns"][0], **fields}
        left_out = {name: field for name, field in turn.items() if field is not None}
        changed = {**written, "samples": [{"turns": [left_out]}]}
        return refusals(changed, schema, schema, "")

    written = json.loads(encode(EXAMPLES["attempt"])[2])
    assert refused() == refused(mood="good") == []
    assert refused(text=None) == [".samples.0.turns.0.text is missing"]
    assert refused(text=7) == [".samples.0.turns.0.text is no string"]
    assert refused(finish_reason="tired") == [".samples.0.turns.0.finish_reason is another word"]
    assert refused(spans=[{"version": 1, "start": 0}]) == [
        ".samples.0.turns.0.spans.0.end is missing"
    ]
    schema = Attempt.model_json_schema()
    assert refusals({**written, "id": "x"}, schema, schema, "") == [".id is spelt differently"]


def test_an_id_depends_on_who_answers_what_and_on_nothing_else() -> None:
    same = derive_id("run", "solver", "task", 0)
    assert same == derive_id("run", "solver", "task")
    others = {
        derive_id("other", "solver", "task"),
        derive_id("run", "critic", "task"),
        derive_id("run", "solver", "other"),
        derive_id("run", "solver", "task", 1),
        derive_id("runs", "olver", "task"),
    }
    assert len(others | {same}) == 6
