"""`evolvent archive`, and every reading command on what it made, as a user types them."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bus.bus import Bus
from bus.cursor import Cursor
from bus.events import Watermark
from bus.log import Cut, Held, Log
from evolvent.commands.options import on_log
from evolvent.opened.opened import query_of
from evolvent.run.archive import archive_run
from evolvent.run.folder import RunFolder
from evolvent.run.log import check_recovery
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from harness.runs import read_topic
from observability.archive.keeper import Keeper, _bases
from observability.archive.manifest import FILE
from observability.query.query import Query
from tests.evolvent.conftest import Refused, Shown, evolvent
from tests.evolvent.run.test_old_run import RECORDS, unpacked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has an archive; its log speaks of it."""
    run = unpacked(tmp_path_factory.mktemp("archived"))
    done = evolvent("archive", str(run), "--json")
    assert done.returncode == 0, done.stderr
    (run / "archived.json").write_text(done.stdout)
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """The same, of which only the recipe, the checkpoints and the archive are left."""
    folder = tmp_path / "run"
    for name in ("checkpoints", "archive"):
        shutil.copytree(made / name, folder / name)
    shutil.copy(made / "recipe.json", folder)
    return folder


def test_it_says_what_it_holds_and_its_watermark_is_on_the_log(made: Path, shown: Shown) -> None:
    said = json.loads((made / "archived.json").read_text())
    assert said["events"] == RECORDS + 1 and said["location"] == str(made / "archive")
    [mark] = read_topic(made, "watermarks")
    assert isinstance(mark, Watermark) and mark.agent == "archivist"
    assert (mark.run, mark.location) == (RunFolder(made).run_id, "archive")
    assert sum(mark.ends.values()) == RECORDS and "watermarks/0" not in mark.ends
    before = (made / "archive" / FILE).read_bytes()
    assert f"{RECORDS + 1:,} events are in" in shown("archive", made)
    assert (made / "archive" / FILE).read_bytes() == before
    assert len(read_topic(made, "watermarks")) == 1


def test_a_run_that_goes_on_all_the_time_is_archived_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unpacked(tmp_path)
    task = read_topic(run, "tasks")[0]
    passes = 0

    async def archive(self: Keeper, *arguments: Any) -> bool:
        nonlocal passes
        passes += 1
        done = await whole(self, *arguments)
        await self._bus.publish([task.model_copy(update={"id": f"{passes:032x}"})])
        return done

    whole = Keeper.archive
    monkeypatch.setattr(Keeper, "archive", archive)
    made = archive_run(RunFolder(run), None, lambda *_: None)
    archived = asyncio.run(asyncio.wait_for(made, 60))
    assert passes == 2 and archived.events > RECORDS


def test_what_commands_say_is_what_they_say_of_the_log(made: Path, run: Path, shown: Shown) -> None:
    archive = ("--archive", run / "archive")

    def both(*arguments: str) -> tuple[Any, Any]:
        of_log = shown(arguments[0], made, *arguments[1:], "--json")
        return json.loads(of_log), json.loads(
            shown(arguments[0], run, *arguments[1:], *archive, "--json")
        )

    of_log, of_archive = both("audit")
    assert of_archive == of_log and of_log["ok"]
    of_log, of_archive = both("status")
    assert of_archive["groups"] and of_archive["counts"]["watermarks"] == 1
    for here in ("disk", "groups", "crashes"):
        of_log.pop(here), of_archive.pop(here)
    assert of_archive == of_log
    of_log, of_archive = both("curve")
    assert of_archive == of_log
    of_log, of_archive = both("dead")
    assert of_archive == of_log
    of_log, of_archive = both("query", "FROM reward_by_judge")
    assert of_archive == of_log


def test_a_question_to_a_run_is_answered_by_its_archive_and_what_came_since(made: Path) -> None:
    folder = RunFolder(made)

    def look(log: Log) -> None:
        query = query_of(folder, log)
        found = query.ask("SELECT count(*) AS n FROM judgments")
        assert query._archived is not None and query._archived.ends["judgments", 0] > 100
        assert found.equals(Query(log).ask("SELECT count(*) AS n FROM judgments"))
        assert query.ask("SELECT * FROM watermarks").num_rows == 1

    on_log(folder, look)


@pytest.mark.long
def test_a_deep_audit_says_the_same(made: Path, run: Path) -> None:
    of_log = evolvent("audit", str(made), "--deep", "--json")
    of_archive = evolvent("audit", str(run), "--deep", "--archive", str(run / "archive"), "--json")
    assert of_log.returncode == of_archive.returncode == 0
    assert of_archive.stdout == of_log.stdout


@pytest.mark.long
def test_a_run_is_restored_from_its_archive(run: Path, tmp_path: Path, shown: Shown) -> None:
    assert Path(shown("report", run, "--archive", run / "archive").strip()).exists()
    shown("copy", run, tmp_path / "restored", "--archive", run / "archive")
    assert json.loads(shown("audit", tmp_path / "restored", "--json"))["ok"]


def test_damage_and_mistakes_are_one_sentence(
    made: Path, run: Path, tmp_path: Path, refused: Refused
) -> None:
    assert "there is no archive at" in refused("status", run, "--archive", tmp_path / "none")
    with RunFolder(made).locked("archive.lock"):
        assert "another evolvent is archiving" in refused("archive", made)
    assert "is not a run" in refused("archive", tmp_path / "nowhere")
    assert "90s, 5m or 2h" in refused("archive", made, "--follow", "--every", "soon")
    assert "cannot be opened" in refused("archive", made, "--dir", "nonesuch://x")
    [victim] = (run / "archive" / "weights").rglob("*.parquet")
    body = bytearray(victim.read_bytes())
    body[1000] ^= 1
    victim.write_bytes(body)
    archive = ("--archive", run / "archive")
    assert "is damaged: the sha256 of weights/" in refused("status", run, *archive)
    victim.unlink()
    assert "parquet is missing" in refused("status", run, *archive)


def test_a_trimmed_run_is_read_as_before(
    made: Path, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    run = shutil.copytree(made, tmp_path / "run")
    shown("upgrade", run)
    before = shown("audit", run, "--json")
    said = json.loads(shown("trim", run, "--keep", "5", "--dry-run", "--json"))
    assert said["events"] > 1000 and "judgments/0" in said["below"]
    assert json.loads(shown("trim", run, "--dry-run", "--json")) == {"below": {}, "events": 0}
    assert json.loads(shown("trim", run, "--keep", "5", "--json")) == said
    assert json.loads(shown("trim", run, "--keep", "5", "--json"))["events"] == 0
    assert shown("audit", run, "--json") == before
    assert "events are in" in shown("archive", run)
    assert recovers(run)
    files = sorted((run / "archive").rglob("*.parquet"))
    (run / "archive" / FILE).unlink()
    assert "nothing was removed" in refused("archive", run)
    assert sorted((run / "archive").rglob("*.parquet")) == files


def looked_back(folder: RunFolder, bus: Bus) -> Log:
    """What the blocks of a process of the run read."""
    log = folder.whole(bus.log)
    place = Workplace(folder.path, folder.run_id, folder.recipe(), bus, LogVoice(), log=log)
    return place.parts.log


def recovers(run: Path) -> bool:
    """Whether the run may be gone on with, and its roles see all of it."""
    folder = RunFolder(run)

    async def look() -> bool:
        async with folder.log(writable=True) as bus:
            seen = [record.offset for record in looked_back(folder, bus).read("tasks", 0)]
            assert bus.log.starts() and seen == [*range(bus.log.heads()["tasks", 0])]
            return not check_recovery(folder, folder.recipe(), bus.log)

    return asyncio.run(look())


def test_nothing_is_trimmed_that_the_archive_has_not_whole(
    made: Path, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    run = shutil.copytree(made, tmp_path / "run")
    shown("upgrade", run)
    [victim] = (run / "archive" / "tasks" / "3").iterdir()
    body = bytearray(victim.read_bytes())
    body[1000] ^= 1
    victim.write_bytes(body)
    assert "is damaged: the sha256 of tasks/3/" in refused("trim", run, "--keep", "5")
    assert json.loads(shown("trim", run, "--keep", "5", "--dry-run", "--json"))["events"] > 1000


def test_a_topic_whose_group_has_never_begun_stays_whole() -> None:
    tasks = {("tasks", 0): Held(Cursor(7), 1)}
    begun = Cut(heads={}, groups={"solver": tasks, "other": tasks})
    assert _bases(begun, ("tasks", 0)) == [7, 7]
    assert _bases(Cut(heads={}, groups={"other": tasks}), ("tasks", 0)) == [0]


def test_what_cannot_be_trimmed_is_one_sentence(
    made: Path, run: Path, tmp_path: Path, refused: Refused
) -> None:
    assert "is of an older evolvent" in refused("trim", made, "--keep", "5")
    trimmed = shutil.copytree(made, tmp_path / "trimmed")
    shutil.rmtree(trimmed / "archive")
    assert "there is no archive at" in refused("trim", trimmed, "--keep", "5")
