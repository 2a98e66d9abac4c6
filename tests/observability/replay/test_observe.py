"""A state is the same from every driver and from every snapshot; a snapshot never changes it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bus.bus import Bus
from bus.errors import BusError
from bus.kafka.bus import KafkaBus
from bus.memory.bus import MemoryBus
from bus.records import Record
from bus.sqlite.bus import SqliteBus
from observability.archive.place import ArchiveError
from observability.archive.together import TogetherLog
from observability.audit.facts import sealed
from observability.replay.observe import observe
from observability.replay.snapshots import MOST, NEWEST, Snapshots
from observability.replay.state import State
from tests.observability.archive.archiving import archived, log_of, read
from tests.observability.progress.test_progress import ReadingBus
from tests.observability.replay.told import filled, told
from tests.observability.story import RUN

EVENTS = told()
WHOLE = observe(filled(MemoryBus(), EVENTS).log)
BUSES: dict[str, Callable[[pytest.FixtureRequest], Bus]] = {
    "sqlite": lambda request: SqliteBus(request.getfixturevalue("tmp_path") / "log.sqlite"),
    "kafka": lambda request: KafkaBus(request.getfixturevalue("cluster")),
}
EVERY = 40


@pytest.fixture
def log() -> ReadingBus:
    bus = ReadingBus()
    filled(bus, EVENTS)
    return bus


class Kept:
    """Snapshots in a folder, and what was said of them."""

    def __init__(self, folder: Path, run: str = RUN) -> None:
        self.said: list[str] = []
        self.folder = folder
        self.snapshots = Snapshots(folder, run, self.said.append)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*"))

    def digest(self, log: ReadingBus) -> str:
        log.records.clear()
        return observe(log, None, self.snapshots, every=EVERY).digest


@pytest.fixture
def kept(tmp_path: Path, log: ReadingBus) -> Kept:
    found = Kept(tmp_path / "replay")
    assert found.digest(log) == WHOLE.digest
    return found


@pytest.mark.parametrize("driver", BUSES)
def test_every_driver_gives_the_same_digest(driver: str, request: pytest.FixtureRequest) -> None:
    bus = BUSES[driver](request)
    filled(bus, EVENTS)
    assert observe(bus.log).digest == WHOLE.digest
    asyncio.run(bus.close())


@pytest.mark.parametrize("block", [3, 16, 4096])
def test_an_archive_gives_it_wherever_its_files_end(tmp_path: Path, block: int) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS) as sqlite:
        archived(sqlite, tmp_path / "archive", block=block)
        found = read(tmp_path / "archive")
        assert observe(found).digest == WHOLE.digest
        half = {stream: end // 2 for stream, end in found.heads().items()}
        assert observe(found, half).digest == observe(sqlite, half).digest != WHOLE.digest


def test_a_log_that_was_trimmed_has_it_with_its_archive(tmp_path: Path) -> None:
    bus = filled(MemoryBus(), EVENTS)
    archived(bus.log, tmp_path / "archive")
    asyncio.run(bus.trim({stream: end - 1 for stream, end in WHOLE.ends.items()}))
    whole = TogetherLog(bus.log, lambda: read(tmp_path / "archive"))
    kept = Kept(tmp_path / "replay")
    assert observe(whole, None, kept.snapshots).digest == WHOLE.digest
    assert observe(whole, None, kept.snapshots).digest == WHOLE.digest and not kept.said


def test_a_snapshot_spares_what_lies_before_it(kept: Kept, log: ReadingBus) -> None:
    assert len(kept.files) == len(EVENTS) // EVERY + 1
    assert kept.digest(log) == WHOLE.digest and not kept.said
    # The last record of each partition is compared.
    assert len(log.records) == len(WHOLE.ends)
    kept.files[-1].unlink()
    assert kept.digest(log) == WHOLE.digest
    assert len(log.records) <= EVERY + 2 * len(WHOLE.ends)


def test_any_position_is_reached_from_a_snapshot_before_it(kept: Kept, log: ReadingBus) -> None:
    for seed in range(8):
        random = Random(seed)
        at = {stream: random.randint(0, end) for stream, end in WHOLE.ends.items()}
        assert observe(log, at, kept.snapshots).form() == observe(log, at).form()
    assert not kept.said


def _lie(file: Path, **changes: Any) -> None:
    """With a sha256 that fits."""
    said = json.loads(sealed.read(file))
    said["state"] |= changes
    sealed.write(json.dumps(said), file)


def _hide(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda file: file.write_bytes(file.read_bytes()[:-100]), "is damaged"),
    "empty": (lambda file: file.write_bytes(b""), "is damaged"),
    "changed": (
        lambda file: file.write_bytes(file.read_bytes().replace(b"solver", b"critic", 1)),
        "is damaged",
    ),
    "another format": (lambda file: _lie(file, format=0), "of another evolvent"),
    "less": (lambda file: _lie(file, known={}), "is damaged"),
    "other ends": (
        lambda file: _lie(file, ends={"weights/0": 1}),
        "is of another log: weights/0/0",
    ),
    "no file": (_hide, "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_snapshot_that_is_wrong_is_passed_over(kept: Kept, log: ReadingBus, damage: str) -> None:
    change, why = DAMAGE[damage]
    for file in kept.files:
        change(file)
    assert observe(log, None, kept.snapshots, every=10**6).form() == WHOLE.form()
    assert len(kept.said) == len(EVENTS) // EVERY + 1
    assert all(why in said and said.endswith(": passed over") for said in kept.said)


def test_snapshots_of_another_log_or_run_are_passed_over(kept: Kept) -> None:
    other = filled(MemoryBus(), told(seed=2)[::-1]).log
    assert observe(other, None, kept.snapshots, every=10**6).digest == observe(other).digest
    assert kept.said and all("is of another log" in said for said in kept.said)
    again = Kept(kept.folder, "another")
    log = filled(MemoryBus(), EVENTS).log
    assert observe(log, None, again.snapshots, every=10**6).digest == WHOLE.digest
    assert f"is of run {RUN}, this is run another" in again.said[0]


def test_snapshots_that_are_ahead_of_a_position_are_not_read(kept: Kept, log: ReadingBus) -> None:
    early = {("weights", 0): 2, ("control", 0): 1}
    state = observe(log, early, kept.snapshots)
    assert state.ends == early and not kept.said
    assert state.known.newest is not None and state.known.newest.number == 1


def test_of_many_snapshots_the_older_are_thinned_out(tmp_path: Path, log: ReadingBus) -> None:
    kept = Kept(tmp_path / "replay")
    observe(log, None, kept.snapshots, every=2)
    events = [int(file.stem) for file in kept.files]
    assert NEWEST < len(events) <= MOST
    assert events[-NEWEST:] == [*range(0, len(EVENTS), 2), len(EVENTS)][-NEWEST:]
    assert kept.digest(log) == WHOLE.digest


def test_where_nothing_can_be_kept_the_state_is_told_anyway(
    tmp_path: Path, log: ReadingBus
) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file")
    assert kept.digest(log) == WHOLE.digest
    assert kept.said[0].startswith("no snapshot is kept in ")


def test_a_position_that_is_not_on_the_log_is_refused(log: ReadingBus) -> None:
    end = WHOLE.ends["tasks", 0]
    with pytest.raises(BusError, match=f"tasks/0:{end + 1} is beyond the log, .* {end}"):
        observe(log, {("tasks", 0): end + 1})
    with pytest.raises(BusError, match="no partition games/0"):
        observe(log, {("games", 0): 1})
    with pytest.raises(BusError, match="beyond"):
        observe(log, {("tasks", 0): -1})


class Losing(MemoryBus):
    """Has less than it says."""

    def read(self, *arguments: object, **named: object) -> list[Record]:  # type: ignore[override]
        found = list(super().read(*arguments, **named))  # type: ignore[arg-type]
        return found[:-1] if arguments[0] == "weights" else found


def test_what_is_missing_is_one_sentence(tmp_path: Path) -> None:
    losing = filled(Losing(), EVENTS)
    with pytest.raises(BusError, match=r"weights/0 ends at 15, not at 16: .*restore"):
        observe(losing.log)
    with log_of(tmp_path / "log.sqlite", EVENTS) as sqlite:
        archived(sqlite, tmp_path / "archive")
        [file, *_] = sorted((tmp_path / "archive/tasks/1").glob("*.parquet"))
        file.write_bytes(file.read_bytes()[:-10])
        with pytest.raises(ArchiveError, match=r"has .* bytes, the manifest says"):
            observe(read(tmp_path / "archive"))
        file.unlink()
        with pytest.raises(ArchiveError, match="is missing"):
            observe(read(tmp_path / "archive"))


def test_a_state_before_the_first_record_is_empty() -> None:
    state = observe(MemoryBus().log)
    assert state.num_events == 0 and state.digest == State().digest
