"""`evolvent fork`: a run begins as another one was, is proved as that one is, and goes on by
itself."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from bus.events import Control
from bus.log import Log
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_recipe, load_recipe, shipped
from evolvent.replay.fork import Forked, Wish, fork_run
from evolvent.run.folder import RunFolder
from harness.runs import read_topic
from observability.replay.position import position, text_of
from tests.docs.pages import DOCS
from tests.evolvent.conftest import Refused, Shown, evolvent, newest
from tests.observability.audit.audited_run import RUN, Life
from trainer.checkpoint.manifest import THINNED, checkpoint_folders, is_thinned
from trainer.phases import Phases

WITHOUT = 12
"""A version of the example that has its weights alone; its newest one has all."""

KILLED_WHILE = """
import asyncio, os, sys
from pathlib import Path
from evolvent.replay.fork import Wish, fork_run
from evolvent.run.folder import RunFolder
def show(what, done, whole):
    if what == sys.argv[4] and (done or what == "audit"):
        os._exit(9)
wish = Wish(at=sys.argv[3])
asyncio.run(fork_run(RunFolder(Path(sys.argv[1])), Path(sys.argv[2]), wish, show))
"""


def files(run: Path) -> dict[str, bytes]:
    return {str(at.relative_to(run)): at.read_bytes() for at in run.rglob("*") if at.is_file()}


def contents(log: Log, ends: dict[tuple[str, int], int]) -> dict[tuple[str, int], list[object]]:
    return {stream: [*log.read(*stream, 0, end)] for stream, end in ends.items()}


def audited(run: Path, *more: str) -> dict[str, int]:
    found = evolvent("audit", str(run), "--json", *more)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr
    counts: dict[str, int] = json.loads(found.stdout)["counts"]
    return counts


def check_begins_as(
    parent: Path, fork: Path, at: str, run: str | None = None
) -> dict[tuple[str, int], int]:
    """The fork is its parent up to the position, and then says of which `run` it is a fork."""

    async def look() -> dict[tuple[str, int], int]:
        async with RunFolder(parent).log() as one, RunFolder(fork).log() as other:
            ends = position(one.log, at)
            assert contents(one.log, ends) == contents(other.log, ends)
            first = next(other.log.read("control", start=ends["control", 0])).event()
            assert isinstance(first, Control) and first.parent is not None
            assert first.run == RunFolder(fork).run_id != RunFolder(parent).run_id
            assert first.parent.run == (run or RunFolder(parent).run_id)
            assert first.parent.ends == {f"{t}/{p}": end for (t, p), end in ends.items() if end}
            assert sum(other.log.heads().values()) >= sum(ends.values()) + 1
            return ends

    return asyncio.run(look())


def test_at_a_version_the_fork_is_what_the_run_was(
    example: Path, tmp_path: Path, shown: Shown
) -> None:
    before, fork, version = files(example), tmp_path / "fork", WITHOUT
    said = shown("fork", example, "--at", str(version), "--dir", fork)
    assert f"at version {version}:" in said and f"evolvent run --dir {fork}" in said
    assert "fresh optimiser" in said and files(example) == before
    check_begins_as(example, fork, str(version))
    found = json.loads(shown("audit", fork, "--json"))
    counts = found["counts"]
    assert found["ok"] and (counts["versions"], counts["fresh_optimisers"]) == (version + 1, 1)
    assert len([*checkpoint_folders(fork)]) == version + 1
    status, run = json.loads(shown("status", fork, "--json")), RunFolder(example).run_id
    assert status["run"] == RunFolder(fork).run_id
    assert (status["parent"]["run"], status["parent"]["version"]) == (run, version)
    assert f"forked from {run} at version {version}" in shown("status", fork)


def test_a_fork_of_a_fork_by_another_recipe_names_both(
    example: Path, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    one, two, early = tmp_path / "one", tmp_path / "two", tmp_path / "early"
    root = RunFolder(example).run_id
    said = shown("fork", example, "--at", "end", "--dir", one, "--set", "evaluator.every=3")
    assert "fresh optimiser" not in said
    shown("fork", one, "--at", "end", "--dir", two, "--set", "trainer.max_staleness=4")
    check_begins_as(one, two, "end")
    starts = [event for event in read_topic(two, "control") if isinstance(event, Control)]
    parents = [start.parent.run for start in starts if start.parent]
    assert parents == [root, RunFolder(one).run_id]
    assert json.loads(shown("audit", two, "--json"))["ok"]
    found = json.loads(shown("lineage", two, str(newest(example)), "--json"))
    assert {step["run"] for step in found["path"]} == {root}
    # Before the first fork said anything, its log was that of the run it came from.
    shown("fork", one, "--at", "0", "--dir", early)
    check_begins_as(one, early, "0", root)
    said = refused("run", "--dir", one, "--recipe", "words")
    assert "another recipe or other settings" in said


def checkpoint(run: Path, version: int) -> Path:
    return next((run / "checkpoints").glob(f"v{version:06}-*"))


def thin(folder: Path) -> None:
    (folder / THINNED).write_text('{"files": []}')


def test_what_cannot_be_forked_is_one_sentence(
    example: Path, tmp_path: Path, refused: Refused
) -> None:
    new, last = tmp_path / "new", newest(example)
    for more, why in {
        (str(last + 1),): f"no such version on the log: the newest is {last}",
        (f"weights/0={last + 1},tasks/0=3",): "the answer to what is not there yet",
        ("weights/0=9999",): f"weights/0 ends at {last + 1}",
        ("end", "--recipe", "nobody"): "there is no recipe nobody",
        ("end", "--recipe", "r-zero"): r"\[model\] must be as it is",
        ("end", "--set", "model.layers=3"): r"\[model\] must be as it is",
        ("end", "--set", "bus.partitions=8"): "a copy has the partitions of its source",
    }.items():
        assert re.search(why, refused("fork", example, "--dir", new, "--at", *more)), why
        assert not new.exists()
    words = ("fork", example, "--at", "end", "--dir")
    assert "is the run itself" in refused(*words, example)
    assert "one within the other" in refused(*words, example / "x")
    with RunFolder(new).locked():
        assert "another evolvent is running" in refused(*words, new)
    shutil.rmtree(new)
    shutil.copytree(example, new)
    assert "is a run already" in refused(*words, new)
    thin(checkpoint(new, WITHOUT))
    said = refused("fork", new, "--at", str(WITHOUT), "--dir", tmp_path / "thinned")
    near = f"fork at version {WITHOUT - 1} or {WITHOUT + 1}"
    assert f"the weights of version {WITHOUT} were thinned out; {near}" in said


def test_the_place_of_its_parents_archive_is_not_that_of_a_fork(
    example: Path, tmp_path: Path
) -> None:
    parent, settings = tmp_path / "parent", ("retention.every_versions=1", "retention.archive=far")
    folder = RunFolder(shutil.copytree(example, parent))
    folder.store(changed_recipe(folder.recipe(), settings, None))
    wish = Wish(at="end")
    with pytest.raises(UsageError, match=f"retention.archive = far is for the archive of {parent}"):
        asyncio.run(fork_run(folder, tmp_path / "fork", wish, lambda what, done, whole: None))
    assert not (tmp_path / "fork").exists()


def test_what_is_not_finished_goes_on_by_the_same_words(
    example: Path, tmp_path: Path, refused: Refused
) -> None:
    fork, recipe = tmp_path / "fork", tmp_path / "mine.toml"
    model, known = RunFolder(example).settings["model"].items(), shipped()["words"].read_text()
    fields = "\n".join(f"{name} = {value}" for name, value in model if value is not None)
    recipe.write_text(f"{known}\n[model]\n{fields}\n")

    class Killed(Exception):
        pass

    def made(at: str, phase: str = "") -> None:
        def show(what: str, done: int, whole: int) -> None:
            if what == phase and done:
                raise Killed

        asyncio.run(fork_run(RunFolder(example), fork, Wish(at=at, recipe=str(recipe)), show))

    with pytest.raises(Killed):
        made("end", "events")
    assert "is not finished" in refused("status", fork)
    begun = json.loads((fork / "copying.json").read_bytes())
    assert "another fork or copy" in refused("fork", example, "--at", str(WITHOUT), "--dir", fork)
    # What the file says by now is another fork.
    recipe.write_text("broken")
    made("end")
    check_begins_as(example, fork, "end")
    assert RunFolder(fork).run_id == begun["run_id"]
    assert RunFolder(fork).settings == begun["recipe"]


def test_what_the_parent_thins_out_while_it_is_forked_is_told(
    example: Path, tmp_path: Path
) -> None:
    run = RunFolder(shutil.copytree(example, tmp_path / "run"))
    last = newest(run.path)
    head = checkpoint(run.path, last)

    def forked(name: str, take: Callable[[], object]) -> Forked:
        def show(what: str, done: int, whole: int) -> None:
            if what == "checkpoints" and not done:
                take()

        return asyncio.run(fork_run(run, tmp_path / name, Wish(at="end"), show))

    assert forked("stateless", lambda: shutil.rmtree(head / "state")).fresh == (last,)
    with pytest.raises(UsageError, match=r"were thinned out.*into another folder"):
        forked("thinned", lambda: thin(head))
    assert not RunFolder(tmp_path / "thinned").exists


def test_of_several_policies_each_goes_on_from_the_version_that_moved_it(tmp_path: Path) -> None:
    """Versions 1, 2, 4 and 5 moved the challenger, 3 and 6 whoever answers."""
    run = RunFolder(tmp_path / "run")
    phases = "[{policy='challenger', versions=2}, {policy='current', versions=1}]"
    recipe = load_recipe("r-zero", [f"phases={phases}"])
    run.create(recipe, RUN)

    async def live() -> None:
        life = Life(run.path)
        life.moves = Phases(recipe.phases).policy
        await life.start(phases=recipe.model_dump(mode="json")["phases"])
        await life.live(6)
        # While everybody is at work.
        made = await fork_run(run, tmp_path / "live", Wish(at="5"), lambda *_: None)
        assert (made.parent.version, made.fresh) == (5, ())
        await life.round()
        await life.close()

    def forked(version: int, name: str = "") -> Forked:
        folder = tmp_path / f"{name}{version}"
        return asyncio.run(fork_run(run, folder, Wish(at=str(version)), lambda *_: None))

    asyncio.run(live())
    for version in (0, 3):
        made = forked(version)
        assert (made.parent.version, made.fresh) == (version, ())
        assert made.copied.checkpoints == version + 1
    moved = checkpoint(run.path, 2)
    shutil.rmtree(moved / "state")
    assert forked(3, "stateless").fresh == (2,)
    thin(moved)
    with pytest.raises(UsageError, match="the weights of version 2 were thinned out"):
        forked(3, "thinned")


@pytest.mark.long
def test_a_run_that_was_trimmed_is_forked_from_its_archive(
    example: Path, tmp_path: Path, shown: Shown
) -> None:
    run, fork = shutil.copytree(example, tmp_path / "run"), tmp_path / "fork"
    shown("archive", run)
    shown("trim", run, "--keep", "10")
    shown("fork", run, "--at", str(WITHOUT), "--dir", fork)
    check_begins_as(example, fork, str(WITHOUT))
    again = tmp_path / "again"
    shown("fork", run, "--at", str(WITHOUT), "--dir", again, "--archive", run / "archive")
    check_begins_as(example, again, str(WITHOUT))
    audited(again)


@pytest.mark.long
def test_the_same_command_goes_on_where_it_was_killed(example: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    for phase in ("checkpoints", "events", "cursors", "comparing", "audit"):
        words = [str(example), str(fork), str(WITHOUT), phase]
        done = subprocess.run([sys.executable, "-c", KILLED_WHILE, *words], check=False, text=True)
        assert done.returncode == 9, phase
        assert (fork / "copying.json").exists()
    done = evolvent("fork", str(example), "--at", str(WITHOUT), "--dir", str(fork))
    assert done.returncode == 0, done.stderr
    check_begins_as(example, fork, str(WITHOUT))
    audited(fork)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_at_every_version_the_example_is_forked_starts_and_passes_the_audit(
    example: Path, tmp_path: Path
) -> None:
    run = RunFolder(example)
    for version in range(newest(example) + 1):
        fork = tmp_path / str(version)
        made = asyncio.run(fork_run(run, fork, Wish(at=str(version)), lambda *_: None))
        has_state = (checkpoint(example, version) / "state").exists()
        assert (made.parent.version, made.fresh) == (version, () if has_state else (version,))
        check_begins_as(example, fork, str(version))
        assert audited(fork)["versions"] == version + 1
        done = evolvent("run", "--dir", str(fork), "--budget", "1s", timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert audited(fork)["versions"] > version + 1
        shutil.rmtree(fork)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bus", ["sqlite", "kafka"])
def test_a_fork_learns_on_by_another_recipe_and_nothing_twice(
    example: Path, bus: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fork, version = tmp_path / "fork", WITHOUT
    if bus == "kafka":
        bus = f"kafka://{request.getfixturevalue('kafka')}/fork-{uuid4().hex[:8]}"
    words = ["--at", str(version), "--dir", str(fork), "--bus", bus]
    words += ["--set", "evaluator.every=5", "--set", "solver.samples=4"]
    words += ["--set", "judge.type=chance"]
    done = evolvent("fork", str(example), *words)
    assert done.returncode == 0, done.stderr
    ends = check_begins_as(example, fork, str(version))
    done = evolvent("run", "--dir", str(fork), "--budget", "1s", timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    check_begins_as(example, fork, str(version))
    counts = audited(fork, "--deep")
    assert 0 < counts["not_judged_again"] < counts["events/judgments"]
    assert counts["trained_twice"] == 0 and counts["events/weights"] > ends["weights", 0]
    said = evolvent("lineage", str(fork), str(version + 1)).stdout
    assert f"version {version} of {RunFolder(example).run_id}" in said


def positions(run: Path, *said: str) -> list[str]:
    async def look() -> list[str]:
        async with RunFolder(run).log() as bus:
            return [text_of(await asyncio.to_thread(position, bus.log, at)) for at in said]

    return asyncio.run(look())


@pytest.mark.long
def test_a_fork_goes_to_a_broker_and_a_fork_of_it_comes_back(
    example: Path, kafka: str, tmp_path: Path
) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    bus = f"kafka://{kafka}/fork-{uuid4().hex[:8]}"
    words = ("--at", str(WITHOUT), "--dir", str(there), "--bus", bus)
    done = evolvent("fork", str(example), *words)
    assert done.returncode == 0 and kafka in done.stdout, done.stderr
    check_begins_as(example, there, str(WITHOUT))
    audited(there)
    versions = [str(version) for version in range(0, WITHOUT, 7)]
    assert positions(there, *versions) == positions(example, *versions)
    done = evolvent("fork", str(there), "--at", "end", "--dir", str(back))
    assert done.returncode == 0, done.stderr
    check_begins_as(there, back, "end")
    audited(back)
    assert positions(back, *versions) == positions(example, *versions)


def test_the_page_forks_the_example(example: Path, tmp_path: Path, shown: Shown) -> None:
    page = (DOCS / "replay.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```sh\n(evolvent fork .*?)```", page, re.DOTALL)
    for line in block.splitlines():
        words = line.replace("runs/example", str(example)).replace("runs/", f"{tmp_path}/").split()
        shown(*words[1:])
    assert not is_thinned(next(checkpoint_folders(tmp_path / "again")))
