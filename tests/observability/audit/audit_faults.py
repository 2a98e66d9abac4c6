"""Faults planted into a run at rest, and what an audit says of it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from bus.sqlite.bus import SqliteBus
from bus.sqlite.log import checksum
from observability.audit.audit import Audit, audit
from tests.observability.audit.audited_run import ranges_of
from trainer.checkpoint.manifest import CHECKPOINTS, MANIFEST, Manifest, folder_name


def audited(run: Path, quick: int | None = None) -> Audit:
    bus = SqliteBus(run / "log.sqlite", read_only=True)
    try:
        return audit(bus, run, quick)
    finally:
        asyncio.run(bus.close())


def codes(found: Audit) -> set[str]:
    return {violation.code for violation in found.violations}


def says(found: Audit, code: str, *words: object) -> bool:
    return any(
        violation.code == code and all(str(word) in violation.sentence for word in words)
        for violation in found.violations
    )


@contextmanager
def log_of(run: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(run / "log.sqlite"))
    try:
        yield connection
    finally:
        connection.close()


def rows(run: Path, topic: str) -> list[tuple[int, int, str]]:
    with log_of(run) as log:
        found = log.execute(
            "SELECT part, off, lower(hex(event_id)) FROM log WHERE topic = ? ORDER BY part, off",
            (topic,),
        )
        return [(part, off, event_id) for part, off, event_id in found]


def cut(run: Path, topic: str, number: int) -> None:
    """The newest `number` records of each partition of a topic were never there."""
    with log_of(run) as log:
        for part, head in list(
            log.execute("SELECT part, next FROM head WHERE topic = ?", (topic,))
        ):
            left = max(0, head - number)
            log.execute(
                "DELETE FROM log WHERE topic = ? AND part = ? AND off >= ?", (topic, part, left)
            )
            log.execute(
                "UPDATE head SET next = ? WHERE topic = ? AND part = ?", (left, topic, part)
            )


def without_versions(run: Path, topic: str) -> None:
    """As a log of another make has it: no header says which version drew a record."""
    with log_of(run) as log:
        found = list(log.execute("SELECT part, off, value FROM log WHERE topic = ?", (topic,)))
    for part, off, value in found:
        forge_row(run, topic, part, off, value, ce_modelversion="")


def folder_of(run: Path, number: int) -> Path:
    [folder] = (run / CHECKPOINTS).glob(f"v{number:06d}-*")
    return folder


def forge_manifest(run: Path, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest and the event on the log alike, checksums right."""
    folder = folder_of(run, number)
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    weights = manifest["weights"]
    listed = Manifest.model_validate(manifest)
    weights["positions"] = ranges_of([*listed.trained, *listed.dropped])
    weights["trained"], weights["dropped"] = len(listed.trained), len(listed.dropped)
    name = folder_name(weights["number"], weights["epoch"])
    weights["location"] = f"{CHECKPOINTS}/{name}"
    (folder / MANIFEST).write_text(json.dumps(manifest))
    folder.rename(folder.parent / name)
    forge_row(run, "weights", 0, number, json.dumps(weights).encode())


def forge_row(run: Path, topic: str, part: int, off: int, value: bytes, **headers: str) -> None:
    with log_of(run) as log:
        place = (topic, part, off)
        key, text = log.execute(
            "SELECT key, headers FROM log WHERE topic = ? AND part = ? AND off = ?", place
        ).get
        text = json.dumps({**json.loads(text), **headers}, separators=(",", ":"))
        log.execute(
            "UPDATE log SET headers = ?, value = ?, crc = ? "
            "WHERE topic = ? AND part = ? AND off = ?",
            (text, value, checksum(topic, part, off, key, text, value), *place),
        )
