"""`evolvent copy`: a run moves to a broker and back, and goes on learning there."""

import asyncio
import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from bus.bus import Bus
from bus.config import SqliteConfig
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_bus, load_recipe
from evolvent.run.copy import copy_run, partitioned_alike
from evolvent.run.folder import RunFolder
from evolvent.run.log import opened, started
from tests.bus.contract.saying import task
from tests.evolvent.conftest import evolvent

KILLED_WHILE = """
import asyncio, os, sys
from pathlib import Path
from evolvent.run.copy import copy_run
from evolvent.run.folder import RunFolder
def show(what, done, whole):
    if what == sys.argv[4] and (done or what == "audit"):
        os._exit(9)
asyncio.run(copy_run(RunFolder(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], [], show))
"""


def shown(what: str, done: int, whole: int) -> None:
    assert 0 <= done <= whole, what


def copy(source: Path, target: Path, bus: str = "sqlite") -> str:
    done = evolvent("copy", str(source), str(target), "--bus", bus)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def refused(*arguments: str | Path) -> str:
    done = evolvent("copy", *map(str, arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("evolvent: ") and len(done.stderr.splitlines()) == 1
    return done.stderr


def contents(bus: Bus) -> dict[tuple[str, int], list[object]]:
    return {stream: list(bus.log.read(*stream)) for stream in bus.log.heads()}


def files(run: Path) -> dict[str, bytes]:
    root = run / "checkpoints"
    return {str(at.relative_to(root)): at.read_bytes() for at in root.rglob("*") if at.is_file()}


async def whole(run: Path) -> tuple[object, ...]:
    """All that a run has, whatever bus it is on."""
    folder = RunFolder(run)
    async with folder.log() as bus:
        cursors = {group: bus.log.cursors(group) for group in bus.log.groups()}
        return folder.run_id, folder.recipe().digest, contents(bus), cursors, files(run)


def all_of(run: Path) -> tuple[object, ...]:
    return asyncio.run(whole(run))


def audited(run: Path) -> None:
    found = evolvent("audit", str(run), "--json")
    assert found.returncode == 0 and json.loads(found.stdout)["ok"], found.stdout + found.stderr


def learns_on(run: Path) -> None:
    before = len(list((run / "checkpoints").glob("v*")))
    done = evolvent("run", "--dir", str(run), "--budget", "1s")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert len(list((run / "checkpoints").glob("v*"))) > before
    audited(run)


def test_a_run_goes_to_a_broker_and_back(copied: Path, kafka: str, tmp_path: Path) -> None:
    there, back = tmp_path / "cluster", tmp_path / "back"
    before = all_of(copied)
    said = copy(copied, there, f"kafka://{kafka}/copy-{uuid4().hex[:8]}")
    assert f"evolvent run --dir {there}" in said and kafka in said
    assert RunFolder(there).recipe().bus.type == "kafka"
    assert all_of(there) == before == all_of(copied)
    audited(there)
    copy(there, back)
    assert RunFolder(back).recipe().bus.type == "sqlite"
    assert all_of(back) == before
    audited(back)


@pytest.mark.long
def test_a_copied_run_learns_on_in_the_cluster(copied: Path, kafka: str, tmp_path: Path) -> None:
    there, back = tmp_path / "cluster", tmp_path / "back"
    copy(copied, there, f"kafka://{kafka}/copy-{uuid4().hex[:8]}")
    shutil.rmtree(copied)
    learns_on(there)
    copy(there, back)
    learns_on(back)
    assert "gone on by itself" in refused(there, back) or "learned more" in refused(there, back)


@pytest.mark.parametrize("bus", ["sqlite", "kafka"])
def test_the_same_command_goes_on_where_it_was_killed(
    copied: Path, bus: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target = tmp_path / "target"
    url = "sqlite"
    if bus == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka')}/copy-{uuid4().hex[:8]}"
    for phase in ("checkpoints", "events", "cursors", "audit"):
        program = [sys.executable, "-c", KILLED_WHILE, str(copied), str(target), url, phase]
        killed = subprocess.run(program, capture_output=True, timeout=120, check=False)
        assert killed.returncode == 9, killed.stderr[-2000:]
        assert not RunFolder(target).exists
    unfinished = evolvent("run", "--dir", str(target))
    assert unfinished.returncode == 2 and "the same `evolvent copy` or" in unfinished.stderr
    copy(copied, target, url)
    copy(copied, target, url)
    assert all_of(target) == all_of(copied)


def test_what_is_not_a_target_is_refused(copied: Path, lived: Path, tmp_path: Path) -> None:
    before = all_of(copied)
    assert "not a run" in refused(tmp_path / "nothing", tmp_path / "target")
    assert not (tmp_path / "nothing").exists()
    assert "is the run itself" in refused(copied, copied)
    assert "one within the other" in refused(copied, copied / "checkpoints" / "copy")
    assert "neither `sqlite` nor kafka://" in refused(copied, tmp_path / "x", "--bus", "ftp://x")
    assert "only bus.*" in refused(copied, tmp_path / "x", "--set", "seed=2")
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.tex").write_text("mine")
    assert "not empty" in refused(copied, strange)
    other = tmp_path / "other"
    shutil.copytree(copied, other)
    stored = json.loads((other / "recipe.json").read_bytes())
    (other / "recipe.json").write_text(json.dumps({**stored, "run_id": "another-run"}))
    assert "holds another run" in refused(copied, other)
    assert all_of(copied) == before
    with RunFolder(copied).locked():
        assert "another evolvent is running" in refused(copied, tmp_path / "target")


def test_a_log_is_not_copied_into_itself(copied: Path, kafka: str, tmp_path: Path) -> None:
    url = f"kafka://{kafka}/copy-{uuid4().hex[:8]}"
    copy(copied, tmp_path / "there", url)
    assert "is the source's own log" in refused(
        tmp_path / "there", tmp_path / "again", "--bus", url
    )


def test_a_copy_has_the_partitions_of_its_source(tmp_path: Path) -> None:
    async def scenario() -> None:
        source = RunFolder(tmp_path / "a")
        async with opened(source, load_recipe("strings", ["bus.partitions=7"]), print) as bus:
            await bus.publish([task(index) for index in range(40)])
            await bus.publish([started(source, source.recipe(), 0)])
            heads = bus.log.heads()
        with pytest.raises(UsageError, match="has the partitions of its source, which are 7"):
            await copy_run(source, tmp_path / "b", "sqlite", ["bus.partitions=8"], shown)
        assert not (tmp_path / "b").exists()
        config = changed_bus(source.settings, [], "kafka://127.0.0.1:9/x")
        assert partitioned_alike(config, source.bus(), []).partitions == 7
        with suppress(UsageError):
            # Tasks that nobody granted are for the audit to find, when all is copied.
            await copy_run(source, tmp_path / "b", "sqlite", [], shown)
        copied = await asyncio.to_thread(SqliteConfig().build, tmp_path / "b")
        assert copied.log.heads() == heads and len([at for at in heads if at[0] == "tasks"]) == 7
        await copied.close()

    asyncio.run(scenario())
