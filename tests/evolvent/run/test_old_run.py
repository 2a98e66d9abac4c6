"""A run that commit 48be2ea made, before recipes had samplers, filters and roles: it is looked at,
asked, proved and gone on with."""

import asyncio
import hashlib
import json
import re
from pathlib import Path

import pytest

from bus.events import Weights
from bus.records import Record
from evolvent.errors import UsageError
from evolvent.opened.example import unpack
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import prepare
from harness.runs import read_topic
from tests.evolvent.conftest import Shown, evolve

RUNS = Path(__file__).parents[1] / "runs"
NEWEST = 21
RECORDS = 3365
BODIES = "dfab6715d5920c95504ae805efa8a5d914110a805c6fac53cd9da58f6b583150"
"""The sha256 of all bodies in the order of topic, partition and offset, as 48be2ea read them."""


def unpacked(folder: Path) -> Path:
    unpack(RUNS / "48be2ea.tar.xz", folder)
    return folder / "run"


def records(run: Path) -> list[Record]:
    async def read() -> list[Record]:
        async with RunFolder(run).log() as bus:
            return [record for place in sorted(bus.log.heads()) for record in bus.log.read(*place)]

    return asyncio.run(read())


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("old"))


def test_it_is_read_as_it_was_written(old: Path) -> None:
    read = records(old)
    assert len(read) == RECORDS
    assert hashlib.sha256(b"".join(record.value for record in read)).hexdigest() == BODIES
    for record in read:
        event = record.event()
        assert (event.id, event.channel) == (record.event_id, record.topic)


def test_it_can_be_looked_at(old: Path, shown: Shown) -> None:
    status = json.loads(shown("status", old, "--json"))
    assert (status["run"], status["recipe"]) == ("run-a497a39c", "tiny")
    assert (status["version"], status["versions"], status["evaluated"]) == (NEWEST, 22, NEWEST)
    assert status["control"] == {"paused": [], "stopped": [], "objective": None}
    assert status["plugins"] == []
    table = shown("status", old)
    for group in ("proposer", "solver", "critic", "evaluator", "trainer"):
        assert re.search(rf"^{group} ", table, re.MULTILINE)
    found = json.loads(shown("audit", old, "--json"))
    assert found["ok"] and found["counts"]["versions"] == 22
    assert len(json.loads(shown("curve", old, "--json"))) == 7
    page = Path(shown("report", old).strip())
    assert "<html" in page.read_text()


@pytest.mark.slow
def test_it_can_be_asked(old: Path, shown: Shown) -> None:
    answers = json.loads(shown("ask", old, "123", "--version", "0", "--version", "21", "--json"))
    assert [answer["version"] for answer in answers] == [0, 21]
    assert {answer["expected"] for answer in answers} == {"321"}


@pytest.mark.slow
def test_it_goes_on_from_its_newest_version(tmp_path: Path, shown: Shown) -> None:
    run = unpacked(tmp_path)
    before = records(run)
    evolve(run, NEWEST + 2, "--budget", "1s")
    after = {(one.topic, one.partition, one.offset): one for one in records(run)}
    assert [after[one.topic, one.partition, one.offset] for one in before] == before
    versions = [event for event in read_topic(run, "weights") if isinstance(event, Weights)]
    assert [weights.number for weights in versions] == list(range(len(versions)))
    assert len(versions) > NEWEST + 2
    assert versions[NEWEST + 1].parent_id == versions[NEWEST].id
    found = json.loads(shown("audit", run, "--json"))
    assert found["ok"] and found["counts"]["versions"] == len(versions)


def test_it_goes_on_with_the_recipe_that_it_was_started_with(old: Path) -> None:
    folder = RunFolder(old)
    said = json.loads((old / "recipe.json").read_text())["recipe"]
    for name in ("vocab", "max_positions"):
        # The recipe's file never named them; their defaults were others.
        del said["model"][name]
    wanted = Recipe.model_validate(said)
    assert prepare(folder, wanted).model.vocab == 64
    with pytest.raises(UsageError, match="another recipe"):
        prepare(folder, Recipe.model_validate({**said, "model": {**said["model"], "vocab": 258}}))


def test_a_folder_of_the_first_format_has_the_name_that_it_had(old: Path, tmp_path: Path) -> None:
    stored = json.loads((old / "recipe.json").read_text())
    del stored["run_id"]
    (tmp_path / "recipe.json").write_text(json.dumps(stored))
    whole = {name: value for name, value in stored["recipe"].items() if name not in ("run", "bus")}
    digest = hashlib.sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()
    assert RunFolder(tmp_path).run_id.endswith(digest[:8])
