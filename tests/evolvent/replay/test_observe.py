"""The example run as it was: what is open is what the groups themselves have not done."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from bus.cursor import Cursor
from bus.groups import Stream
from bus.log import Log
from evolvent.cli import main
from evolvent.commands.options import on_log
from evolvent.run.archive import archive_run
from evolvent.run.folder import RunFolder
from observability.replay.observe import observe
from observability.replay.position import position
from observability.replay.snapshots import Snapshots
from observability.replay.waiting import ROLES
from tests.evolvent.conftest import Refused, Shown

Cursors = dict[str, dict[Stream, Cursor]]


@pytest.fixture(scope="module")
def archived(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives") / "archive"
    asyncio.run(archive_run(RunFolder(example), str(folder), lambda what, done, whole: None))
    return folder


def cursors(run: Path) -> tuple[Cursors, Cursors]:
    """As the records say, and as the groups do."""

    def look(log: Log) -> tuple[Cursors, Cursors]:
        state = observe(log)
        derived = {role: state.waiting.cursors(role, log.heads()) for role in ROLES}
        held = {
            role: {at: log.cursors(role)[at] for at in of if at in log.cursors(role)}
            for role, of in derived.items()
        }
        return derived, held

    return on_log(RunFolder(run), look)


@pytest.mark.parametrize("name", ["example", "lived"])
def test_what_is_open_is_what_the_groups_have_not_done(
    name: str, request: pytest.FixtureRequest
) -> None:
    derived, held = cursors(request.getfixturevalue(name))
    assert derived == held
    assert held["solver"]["tasks", 0].base > 0 and held["trainer"]["judgments", 0].base > 0


def test_a_moment_is_the_same_however_it_is_named(example: Path, shown: Shown) -> None:
    def observed(*arguments: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(
            shown("replay", "observe", example, "--json", *arguments)
        )
        return found

    at = observed("--at", "12")
    assert at["version"] == 12 and at["served"] == {"current": 12}
    assert observed("--at", json.dumps({"position": at["position"]})) == at
    end = observed("--fresh")
    assert end == observed() and end["digest"] != at["digest"]
    status = json.loads(shown("status", example, "--json"))
    assert {name: end[name] for name in end.keys() & status.keys() - {"counts", "control"}} == {
        name: status[name] for name in end.keys() & status.keys() - {"counts", "control"}
    }
    assert sum(status["counts"].values()) == end["events"]


def test_an_archive_has_the_same_state(example: Path, archived: Path, shown: Shown) -> None:
    asked = ("replay", "observe", example, "--at", "12", "--fresh", "--json")
    assert shown(*asked, "--archive", archived) == shown(*asked)


def test_what_cannot_be_looked_at_is_one_sentence(
    example: Path, archived: Path, tmp_path: Path, refused: Refused
) -> None:
    for at, says in (
        ("9999", "there is no such version on the log: the newest is"),
        ("0" * 32, "there is no such event on the log"),
        ("yesterday", "name a version"),
        ("tasks/0=99999", "tasks/0 ends at"),
        ("games/0=1", "there is no partition games/0"),
    ):
        assert says in refused("replay", "observe", example, "--at", at)
    assert "is not a run" in refused("replay", "observe", tmp_path / "none")
    damaged = shutil.copytree(archived, tmp_path / "archive")
    [file, *_] = sorted((damaged / "weights/0").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:100])
    archive = ("--archive", damaged, "--fresh")
    assert "is damaged" in refused("replay", "observe", example, *archive)


def test_a_damaged_snapshot_is_told_and_changes_nothing(
    example: Path, tmp_path: Path, shown: Shown, capfd: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(example, tmp_path / "run")
    whole = shown("replay", "observe", run)

    def look(log: Log) -> str:
        kept = Snapshots(run / "replay", RunFolder(run).run_id)
        observe(log, position(log, "end"), kept, every=1000)
        [*_, newest] = sorted((run / "replay").glob("*.json"))
        newest.write_text(newest.read_text().replace("trainer", "traitor", 1))
        return newest.name

    name = on_log(RunFolder(run), look)
    with pytest.raises(SystemExit):
        main(["replay", "observe", str(run)])
    printed = capfd.readouterr()
    assert printed.out == whole
    assert f"replay/{name} is damaged, or of another evolvent: passed over" in printed.err
