"""An audit of an archive and the checkpoints finds what one of the log finds."""

import asyncio
from pathlib import Path

from bus.log import Log
from bus.sqlite.bus import SqliteBus
from observability.audit.audit import Audit, audit
from tests.observability.archive.archiving import archived, read
from tests.observability.audit.audited_run import RUN


def both(run: Path, harm: str = "") -> tuple[Audit, Audit]:
    bus = SqliteBus(run / "log.sqlite")
    try:
        archived(bus, run / "archive", RUN, block=8)
        return audit(bus, run), audit(read(run / "archive", RUN), run)
    finally:
        asyncio.run(bus.close())


def test_of_a_run_that_is_as_it_should_be(run: Path) -> None:
    of_log, of_archive = both(run)
    assert of_archive == of_log and of_log.ok
    assert of_log.counts["events"] > 100


def test_of_a_run_that_is_not(run: Path) -> None:
    bus: Log = SqliteBus(run / "log.sqlite", read_only=True)
    lost = next(iter(bus.read("weights", start=3)))
    folder = run / lost.event().location  # type: ignore[attr-defined]
    (folder / "model.safetensors").write_bytes(b"another")
    of_log, of_archive = both(run)
    assert of_archive == of_log and not of_log.ok
