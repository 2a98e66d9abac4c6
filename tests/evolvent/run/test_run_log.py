"""A run's folder and its log belong together: made once, found again, never mixed up."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bus.bus import Bus
from bus.errors import Unreachable
from bus.memory.bus import MemoryBus
from bus.sqlite.bus import SqliteBus
from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import check_archive, joined, opened, prepare, reached, started
from observability.replay.forks import run_on
from tests.observability.archive.archiving import EVENTS, archived
from tests.observability.archive.archiving import log_of as log_with

KAFKA = "kafka://127.0.0.1:9092"


def recipe(*settings: str, bus: str | None = None) -> Recipe:
    return load_recipe("strings", list(settings), bus)


def made(path: Path, wanted: Recipe) -> RunFolder:
    folder = RunFolder(path)
    folder.create(wanted)
    return folder


async def log_of(folder: RunFolder) -> Bus:
    bus = MemoryBus()
    await bus.publish([started(folder, folder.recipe(), 0)])
    return bus


def test_a_run_keeps_its_id_under_another_name(tmp_path: Path) -> None:
    before = made(tmp_path / "a", recipe()).run_id
    (tmp_path / "a").rename(tmp_path / "b")
    assert RunFolder(tmp_path / "b").run_id == before


def test_folders_of_the_first_format_take_the_id_of_their_newest_checkpoint(copied: Path) -> None:
    folder = RunFolder(copied)
    before = folder.run_id
    stored = json.loads(folder.recipe_file.read_text())
    del stored["run_id"]
    folder.recipe_file.write_text(json.dumps(stored))
    copied.rename(copied.with_name("other"))
    assert RunFolder(copied.with_name("other")).run_id == before


def test_where_a_run_lies_changes_neither_its_digest_nor_its_id(tmp_path: Path) -> None:
    here, there = recipe(), recipe(bus=f"{KAFKA}/a")
    assert here.digest == there.digest
    assert made(tmp_path / "a", here).run_id == made(tmp_path / "b", there).run_id


def test_a_folder_on_kafka_remembers_its_name_on_the_broker(tmp_path: Path) -> None:
    made(tmp_path / "a", recipe(bus=KAFKA))
    (tmp_path / "a").rename(tmp_path / "b")
    stored = RunFolder(tmp_path / "b").recipe().bus
    assert stored.name(tmp_path / "b") == "a"


def test_many_processes_that_make_a_folder_at_once_make_one_run(tmp_path: Path) -> None:
    wanted = recipe()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: RunFolder(tmp_path / "a").create(wanted), range(16)))
    assert RunFolder(tmp_path / "a").recipe().digest == wanted.digest
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["logs", "recipe.json"]
    with pytest.raises(UsageError, match="just been started with another recipe"):
        RunFolder(tmp_path / "a").create(recipe("seed=2"))


@pytest.mark.parametrize(
    ("stored", "wanted", "words"),
    [
        (recipe(), recipe("seed=2"), "another recipe or other settings"),
        (recipe(), recipe(bus=KAFKA), r"log.sqlite: .* `evolvent copy`"),
        (recipe(bus=f"{KAFKA}/x"), recipe(bus="sqlite"), "'x' on Kafka .* `evolvent copy`"),
        (recipe(bus=f"{KAFKA}/x"), recipe(bus=f"{KAFKA}/y"), "'x' on Kafka .* `evolvent copy`"),
    ],
)
def test_a_folder_goes_on_only_as_the_run_that_it_is(
    tmp_path: Path, stored: Recipe, wanted: Recipe, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        prepare(made(tmp_path / "a", stored), wanted)


def test_the_number_of_partitions_is_that_of_the_log(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", recipe("bus.partitions=8"))
    for wanted in (recipe(), recipe(bus="sqlite"), recipe("bus.partitions=8"), None):
        assert prepare(folder, wanted).bus.partitions == 8
    said = r"log.sqlite has 8 partitions and the recipe says bus.partitions = 2: .* cannot change"
    with pytest.raises(UsageError, match=said):
        prepare(folder, recipe("bus.partitions=2"))


def test_a_new_folder_takes_the_number_of_a_log_that_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = MemoryBus(partitions=8).log
        joined(RunFolder(tmp_path / "a"), recipe(), log)
        assert RunFolder(tmp_path / "a").recipe().bus.partitions == 8
        with pytest.raises(UsageError, match=r"has 8 partitions and the recipe says .* = 2"):
            joined(RunFolder(tmp_path / "b"), recipe("bus.partitions=2"), log)
        assert not RunFolder(tmp_path / "b").exists

    asyncio.run(scenario())


def test_a_run_starts_on_no_log_of_another_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = RunFolder(tmp_path / "a")
        async with opened(folder, recipe("bus.partitions=8"), print) as bus:
            assert len([at for at in bus.log.heads() if at[0] == "tasks"]) == 8
        (folder.path / "log.sqlite").unlink()
        await SqliteBus(folder.path / "log.sqlite", partitions=2).close()
        with pytest.raises(UsageError, match=r"has 2 partitions and the recipe says .* = 8"):
            async with opened(folder, folder.recipe(), print):
                pass

    asyncio.run(scenario())


def test_how_a_run_goes_on_may_change(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", recipe("run.keep_states=5", bus=f"{KAFKA}/x"))
    moved = prepare(folder, recipe("run.budget_seconds=7", bus="kafka://elsewhere:9"))
    assert (moved.run.keep_states, moved.run.budget_seconds) == (5, 7)
    assert moved.bus.place(folder.path) == "'x' on Kafka at elsewhere:9"
    # A recipe that does not name a bus does not ask for another one.
    assert prepare(folder, recipe()) == prepare(folder, None) == folder.recipe()


def test_the_log_of_another_run_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        mine, other = made(tmp_path / "mine", recipe()), made(tmp_path / "other", recipe())
        bus = await log_of(other)
        with pytest.raises(UsageError, match=rf"holds the run {other.run_id}"):
            joined(mine, mine.recipe(), bus.log)
        joined(other, other.recipe(), bus.log)

    asyncio.run(scenario())


def test_a_new_run_takes_no_log_that_is_in_use(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = RunFolder(tmp_path / "a")
        async with opened(folder, recipe(), print) as bus:
            await bus.publish([started(folder, recipe(), 0)])
        folder.recipe_file.unlink()
        with pytest.raises(UsageError, match=r"holds the run a-.* already"):
            async with opened(folder, recipe(), print):
                pass
        assert not folder.exists

    asyncio.run(scenario())


def test_whoever_joins_with_a_folder_of_its_own_takes_the_id_of_the_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        first, own = made(tmp_path / "first", recipe()), RunFolder(tmp_path / "own")
        bus = await log_of(first)
        with pytest.raises(UsageError, match="another recipe or other settings"):
            joined(own, recipe("seed=2"), bus.log)
        assert not own.exists
        joined(own, recipe(), bus.log)
        assert own.run_id == first.run_id == run_on(bus.log)

    asyncio.run(scenario())


def away(times: int) -> Callable[[], Bus]:
    left = iter(range(times))

    def build() -> Bus:
        for _ in left:
            raise Unreachable("no broker answers")
        return MemoryBus()

    return build


def test_a_broker_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    bus = asyncio.run(reached(away(1), asyncio.Event()))
    assert isinstance(bus, MemoryBus)
    assert "waiting for the broker, again in 0.5 s: no broker answers" in caplog.text


def test_whoever_waits_for_a_broker_can_be_told_to_stop() -> None:
    async def scenario() -> None:
        stop = asyncio.Event()
        waiting = asyncio.ensure_future(reached(away(1000), stop))
        await asyncio.sleep(0.1)
        stop.set()
        assert await asyncio.wait_for(waiting, 5) is None

    asyncio.run(scenario())


def test_nothing_is_archived_where_another_run_or_a_copy_is(tmp_path: Path) -> None:
    far = tmp_path / "far"
    wanted = recipe("retention.every_versions=1", f"retention.archive={far}")
    folder = made(tmp_path / "run", wanted)
    with log_with(tmp_path / "log.sqlite", EVENTS[:50]) as bus:
        check_archive(folder, wanted, bus)
        archived(bus, far, folder.run_id)
        check_archive(folder, wanted, bus)
        with pytest.raises(
            UsageError, match=r"has more of .* than this log.*retention.archive=DIR"
        ):
            check_archive(folder, wanted, MemoryBus())
        with pytest.raises(UsageError, match=f"is the archive of run {folder.run_id}, this is run"):
            check_archive(RunFolder(tmp_path / "new"), wanted, bus)
        check_archive(RunFolder(tmp_path / "new"), recipe(), bus)
