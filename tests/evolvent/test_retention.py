"""A run that archives its log and keeps it short, from the inside and as a user starts it."""

import asyncio
import re
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from bus.events import Watermark, Weights
from bus.log import Log
from bus.sqlite.bus import SqliteBus
from evolvent.errors import UsageError
from evolvent.preflight.preflight import check
from evolvent.recipe.load import load_recipe
from evolvent.retention import Retention, RetentionConfig
from evolvent.roles import ARCHIVIST, NAMES, layout, names_in, services
from evolvent.run.folder import RunFolder
from evolvent.run.interrupts import Interrupts
from evolvent.run.start import _report
from harness.runs import Start, audit, opened
from observability.archive import manifest
from observability.archive.keeper import FOLDER, LOCK, newest_archive
from observability.archive.place import ArchiveError, place_of
from observability.archive.together import TogetherLog
from observability.archive.watermark import archived
from observability.progress.progress import Progress
from tests.evolvent.test_agent import until
from tests.observability.archive.archiving import EVENTS, log_of, records
from tests.observability.story import RUN
from trainer.checkpoint.files import locked

ON = ["retention.every_versions=5"]
GROUPS = (("solver", "tasks"), ("critic", "attempts"), ("trainer", "judgments"))


def weights(number: int) -> Weights:
    [found] = [one for one in EVENTS if isinstance(one, Weights) and one.number == number]
    return found


def whole(bus: SqliteBus, folder: Path) -> Log:
    return TogetherLog(bus, lambda: newest_archive(folder, RUN, bus)[1])


def retention(bus: SqliteBus, folder: Path, **settings: object) -> Retention:
    config = RetentionConfig.model_validate({"every_versions": 5, "keep": 3, **settings})
    return Retention(config, bus, whole(bus, folder), folder, RUN)


async def done(bus: SqliteBus) -> None:
    """Every role has answered all that there is."""
    for group, topic in GROUPS:
        async with bus.subscribe([topic], group, group) as member:
            waiting = sum(end for (name, _), end in bus.heads().items() if name == topic)
            while waiting:
                taken = await member.take(waiting)
                await member.complete(taken, [])
                waiting -= len(taken)


async def handled(role: Retention, bus: SqliteBus, number: int) -> list[Watermark]:
    said = list(await role.handle(weights(number)))
    await bus.publish(said)
    assert all(isinstance(one, Watermark) for one in said)
    return said  # type: ignore[return-value]


def test_what_is_archived_and_done_leaves_the_log_a_step_later(tmp_path: Path) -> None:
    first = [one for one in EVENTS if getattr(one, "number", 0) <= 40]

    async def lived(bus: SqliteBus) -> None:
        role = retention(bus, tmp_path)
        assert await handled(role, bus, 39) == [], "between two fifths nothing is done"
        [mark] = await handled(role, bus, 40)
        assert (mark.location, mark.agent, sum(mark.ends.values())) == (
            FOLDER,
            ARCHIVIST,
            len(first),
        )
        await handled(role, bus, 40)
        assert bus.starts() == {}, "nobody has answered anything"
        await done(bus)
        assert await handled(role, bus, 35) == [], "a version comes after it that is as good"
        await handled(role, bus, 40)

    with log_of(tmp_path / "log.sqlite", first) as bus:
        before = records(bus)
        asyncio.run(lived(bus))
        ends = {at: end for at, end in bus.heads().items() if at in bus.starts()}
        assert bus.starts() == {at: end - 3 for at, end in ends.items() if end > 3}
        assert {topic for topic, _ in bus.starts()} == {"tasks", "attempts", "judgments"}
        after = records(whole(bus, tmp_path))
        assert {at: some for at, some in after.items() if at[0] != "watermarks"} == {
            at: some for at, some in before.items() if at[0] != "watermarks"
        }
        said = archived(bus)
        assert said is not None and (said.events, said.newer) == (len(first), 0)


def test_without_trimming_the_log_stays_whole(tmp_path: Path) -> None:
    async def lived(bus: SqliteBus) -> None:
        await done(bus)
        role = retention(bus, tmp_path, trim=False, keep=10_000, archive=str(tmp_path / "far"))
        [mark] = await handled(role, bus, 40)
        assert mark.location == "far"
        await handled(role, bus, 40)

    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:
        asyncio.run(lived(bus))
        assert bus.starts() == {} and (tmp_path / "far" / "manifest.json").exists()


def test_what_another_process_has_archived_since_is_gone_on_from(tmp_path: Path) -> None:
    half = len(EVENTS) // 2
    place = place_of(tmp_path / FOLDER)

    async def lived(bus: SqliteBus) -> None:
        one, other = (retention(bus, tmp_path, trim=False, keep=10_000) for _ in range(2))
        for number, role in enumerate((one, one, other, one, other, one)):
            await bus.publish(EVENTS[half + 9 * number : half + 9 * (number + 1)])
            heads = bus.heads()
            await handled(role, bus, 40)
            found = manifest.read(place)
            assert found is not None
            assert found.ends == {at: end for at, end in heads.items() if end}
            assert place.sizes().keys() == found.names | {manifest.FILE}, "nothing is left over"

    with log_of(tmp_path / "log.sqlite", EVENTS[:half]) as bus:
        asyncio.run(lived(bus))


def test_an_archive_that_is_not_to_be_had_is_left_for_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def lived(bus: SqliteBus) -> None:
        role = retention(bus, tmp_path)
        with locked(tmp_path / LOCK):
            assert await role.handle(weights(40)) == []
        assert "another process is archiving" in caplog.text
        (tmp_path / FOLDER).mkdir()
        (tmp_path / FOLDER / "thesis.tex").touch()
        assert await role.handle(weights(40)) == []
        assert "is no archive and holds thesis.tex" in caplog.text
        (tmp_path / FOLDER / "thesis.tex").unlink()
        assert len(await handled(role, bus, 40)) == 1
        (tmp_path / "file").touch()
        nowhere = retention(bus, tmp_path, archive=str(tmp_path / "file" / "far"))
        assert await nowhere.handle(weights(40)) == []
        assert "Not a directory" in caplog.text

    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:
        asyncio.run(lived(bus))


def test_watermarks_of_archives_that_are_not_its_own_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a copy, which has its watermarks and not what they are of."""

    async def lived(bus: SqliteBus) -> None:
        await done(bus)
        await handled(retention(bus, tmp_path), bus, 40)
        await handled(retention(bus, tmp_path, archive=str(tmp_path.parent / "far")), bus, 40)
        (tmp_path / FOLDER).rename(tmp_path.parent / "gone")
        (tmp_path.parent / "far").rename(tmp_path.parent / "far.gone")
        assert bus.starts() == {}
        [mark] = await handled(retention(bus, tmp_path), bus, 40)
        assert mark.location == FOLDER and (tmp_path / FOLDER / "manifest.json").exists()
        assert bus.starts() and not caplog.text

    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:
        asyncio.run(lived(bus))


def test_a_run_whose_archive_is_gone_at_its_end_has_no_report(tmp_path: Path) -> None:
    async def lived(bus: SqliteBus) -> None:
        await done(bus)
        for _ in range(2):
            await handled(retention(bus, tmp_path), bus, 40)
        progress, said = Progress(whole(bus, tmp_path)), StringIO()
        progress.refresh()
        (tmp_path / FOLDER).rename(tmp_path / "gone")
        folder, log = RunFolder(tmp_path), whole(bus, tmp_path)
        assert await _report(log, folder, progress, Console(file=said), Interrupts()) is None
        assert said.getvalue().startswith("There is no report: there is no archive at")

    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:
        asyncio.run(lived(bus))


def test_it_is_a_service_where_a_recipe_says_so() -> None:
    recipe = load_recipe("words", ON)
    assert (
        tuple(services(recipe)) == names_in(recipe.model_dump(mode="json")) == (*NAMES, ARCHIVIST)
    )
    assert layout(recipe) == (NAMES[:-1], ("trainer",), (ARCHIVIST,))
    assert recipe.digest == load_recipe("words").digest
    assert load_recipe("words").gone_on_with(recipe).retention == recipe.retention


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["retention.every_versions=0"], "retention.every_versions"),
        (["retention.keep=100"], "nothing is archived without every_versions: say how often"),
        ([*ON, "retention.trim=false", "retention.keep=7"], "is of what is trimmed, and trim is"),
        ([*ON, "retention.keep=0"], "retention.keep"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        load_recipe("words", settings)


def test_a_place_that_is_none_is_found_before_anything_starts(tmp_path: Path) -> None:
    recipe = load_recipe("words", [*ON, "retention.archive=nonesuch://x"])
    with pytest.raises(ArchiveError, match="cannot be opened"):
        check(tmp_path / "run", recipe)
    check(tmp_path / "run", recipe, roles=("solver",))


@pytest.mark.long
@pytest.mark.parametrize("bus", ["sqlite", "kafka"])
def test_a_run_whose_archivist_is_killed_again_and_again_is_whole(
    bus: str, tiny: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = tmp_path / "run"
    words = ["--set", "retention.every_versions=2", "--set", "retention.keep=20"]
    if bus == "kafka":
        cluster = request.getfixturevalue("cluster")
        words += ["--bus", f"kafka://{cluster.bootstrap_servers}/{cluster.app}"]
    start = Start(run, "--recipe", str(tiny), "--budget", "1h", *words)
    try:
        kills = asyncio.run(_killed(start, versions=15))
        assert start.interrupt() == 0, start.last_words()
    finally:
        start.end()
    assert kills >= 3
    counts = audit(run)["counts"]
    assert counts["violations"] == counts["lost"] == counts["trained_twice"] == 0
    asyncio.run(_is_whole(run))


async def _killed(start: Start, versions: int) -> int:
    """How often its archivist was killed on the way to so many versions."""
    bus, kills, random = await opened(start.folder, start), 0, Random(7)
    try:
        while bus.log.heads()["weights", 0] < versions:
            assert start.code is None, start.last_words()
            await asyncio.sleep(random.uniform(0.2, 3.0))
            if ARCHIVIST in (found := start.workers()) and bus.log.heads()["weights", 0] > 2:
                found[ARCHIVIST].kill()
                kills += 1
        await until(lambda: bool(bus.log.starts()) or start.code is not None, 60)
    finally:
        await bus.close()
    return kills


async def _is_whole(run: Path) -> None:
    """Something has left the log, nothing is lost, and the archive has the same."""
    folder = RunFolder(run)
    async with folder.log(writable=True) as bus:
        assert bus.log.starts()
        (_, found), log = folder.newest_archive(bus.log), folder.whole(bus.log)
        for at, end in found.heads().items():
            assert len(list(log.read(*at))) == bus.log.heads()[at]
            assert list(found.read(*at)) == list(log.read(*at, 0, end))
