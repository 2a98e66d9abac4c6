"""Every run that was recorded, the example too, is read by today's code to the last event.

`runs/` only grows: when an event gets a new schema version, `python harness/example.py --keep NAME`
records the example anew and lays the former one there, and its line is added to `RECORDED`.
"""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from bus.events import EVENTS
from evolvent.opened.example import RECORDED as EXAMPLE
from evolvent.opened.example import unpack
from evolvent.opened.opened import OpenRun
from evolvent.run.folder import RunFolder
from observability.query.tables import TABLES
from tests.evolvent.conftest import Shown

RUNS = Path(__file__).parents[1] / "runs"
RECORDED = {
    "48be2ea": "9ba1e7686f014f6fb8e3e5364a288b06cdc56c45956fc2ec461a8463f780c5b5",
    "2e3956a": "d0c48aca8185a692291ac6191c19dfe9e69d4a00437cbede0cc48406e2aefe2e",
    "example": "962b169a79fee8ff2a8ab5bb4640094ff11fe61e8ac6aff1ba0c568f959848ed",
}
"""The sha256 of each archive."""


def archive(name: str) -> Path:
    return EXAMPLE if name == "example" else RUNS / f"{name}.tar.xz"


@pytest.fixture(scope="module", params=RECORDED)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    unpack(archive(request.param), folder)
    return folder if (folder / "recipe.json").exists() else folder / "run"


def test_no_recorded_run_is_lost_or_changed() -> None:
    there = {path.name.removesuffix(".tar.xz") for path in RUNS.iterdir()}
    assert there | {"example"} == set(RECORDED)
    for name, digest in RECORDED.items():
        assert hashlib.sha256(archive(name).read_bytes()).hexdigest() == digest, name


def test_every_event_is_read_and_means_the_same(recorded: Path) -> None:
    """An event of a former schema, written by today's, says the same to who reads it."""

    async def read() -> int:
        count = 0
        async with RunFolder(recorded).log() as bus:
            for place, end in bus.log.heads().items():
                for record in bus.log.read(*place, 0, end):
                    event = record.event()
                    assert (event.id, event.channel) == (record.event_id, record.topic)
                    again = type(event).model_validate_json(event.model_dump_json())
                    assert again == event
                    kind, version = record.headers["ce_dataschema"].split(":")[-2:]
                    assert int(version) <= EVENTS[kind].version
                    count += 1
        return count

    assert asyncio.run(read()) > 500


def test_it_is_looked_at_in_every_way(recorded: Path, shown: Shown) -> None:
    status = json.loads(shown("status", recorded, "--json"))
    assert json.loads(shown("audit", recorded, "--json"))["ok"]
    run = OpenRun(recorded)
    counts = (f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in TABLES)
    rows = {row["name"]: row["n"] for row in run.query(" UNION ALL ".join(counts)).to_pylist()}
    assert rows["weights"] == status["versions"]
    assert rows["verdicts"] >= rows["judgments"] > 0 and rows["turns"] >= rows["attempts"] > 0
    found = json.loads(shown("lineage", recorded, str(status["version"]), "--whole", "--json"))
    assert found["behind"]["judgments"] == len(found["sources"])
    assert found["num_unreadable"] == 0
