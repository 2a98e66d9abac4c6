"""Damage is found, and told in one sentence."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from observability.archive import manifest
from observability.archive.place import ArchiveError, place_of
from tests.observability.archive.archiving import EVENTS, archived, log_of, read, records


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with log_of(folder / "log.sqlite", EVENTS) as log:
        archived(log, folder / "archive")
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Iterator[Path]:
    yield shutil.copytree(made / "archive", tmp_path / "archive")


def file_of(archive: Path) -> Path:
    return sorted((archive / "judgments" / "1").glob("*.parquet"))[1]


def changed(archive: Path, change: Callable[[dict[str, object]], None]) -> None:
    """A manifest that somebody wrote by hand, checksum and all."""
    body = json.loads((archive / manifest.FILE).read_bytes())["manifest"]
    change(body)
    manifest.write(place_of(archive), manifest.Manifest.model_validate(body))


def truncate(archive: Path) -> None:
    file = file_of(archive)
    file.write_bytes(file.read_bytes()[:-9])


def flip(archive: Path) -> None:
    file = file_of(archive)
    body = bytearray(file.read_bytes())
    body[200] ^= 1
    file.write_bytes(body)


def take_out(archive: Path) -> None:
    changed(archive, lambda body: body["files"].pop(20))  # type: ignore[attr-defined]


def end_early(archive: Path) -> None:
    changed(archive, lambda body: body["files"].pop())  # type: ignore[attr-defined]


def swap(archive: Path) -> None:
    def change(body: dict[str, object]) -> None:
        files = body["files"]
        assert isinstance(files, list)
        files[1]["sha256"] = files[2]["sha256"]

    changed(archive, change)


def edit(archive: Path) -> None:
    path = archive / manifest.FILE
    path.write_text(path.read_text().replace('"block":16', '"block":17'))


def newer(archive: Path) -> None:
    changed(archive, lambda body: body.update(format=3))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is gone": (
        lambda archive: file_of(archive).unlink(),
        r"judgments/1/0{10}16-0{10}\d\d\.parquet is missing",
    ),
    "a file is cut off": (truncate, r"parquet has [\d,]+ bytes, the manifest says [\d,]+"),
    "a bit is another": (flip, r"the sha256 of judgments/1/\S+ is another"),
    "a range is left out": (take_out, r"there is a gap in manifest\.json"),
    "an end is left out": (end_early, r"there is a gap in manifest\.json: \S+ does not reach \d+"),
    "a file stands for another": (swap, "the chain of manifest.json is broken"),
    "the manifest was edited": (edit, r"the sha256 of manifest\.json is another"),
    "no manifest": (
        lambda archive: (archive / manifest.FILE).write_bytes(b"{}"),
        r"the sha256 of manifest\.json is another",
    ),
}


@pytest.mark.parametrize("kind", list(DAMAGE))
def test_damage_is_one_sentence(kind: str, archive: Path) -> None:
    harm, said = DAMAGE[kind]
    harm(archive)
    with pytest.raises(ArchiveError) as told:
        records(read(archive))
    sentence = str(told.value)
    assert re.search(said, sentence) and str(archive) in sentence and "\n" not in sentence
    assert sentence.endswith("restore it from a copy, nothing was repaired")


def test_an_archive_of_a_newer_evolvent_is_left_alone(archive: Path) -> None:
    newer(archive)
    with pytest.raises(ArchiveError, match="was written by a newer evolvent"):
        read(archive)


def test_of_another_run_or_nowhere(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is of run words-7, this is run other"):
        read(archive, "other")
    with pytest.raises(ArchiveError, match="there is no archive at"):
        read(tmp_path / "nowhere")


def test_who_reads_while_a_file_is_replaced_reads_on(made: Path, tmp_path: Path) -> None:
    with log_of(tmp_path / "log.sqlite", EVENTS[:150]) as log:
        archived(log, tmp_path / "archive")
        before = records(log)
        found = read(tmp_path / "archive")
    with log_of(tmp_path / "log.sqlite", EVENTS[150:]) as log:
        archived(log, tmp_path / "archive")
        assert records(found) == before != records(log)
