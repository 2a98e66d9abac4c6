"""What is printed reaches any terminal, and a reader that goes away is no fault."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.evolvent.conftest import EVOLVENT, Refused, Shown, evolvent


def printed(
    *arguments: str | Path, encoding: str = "utf-8", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, **variables}
    return subprocess.run(
        [EVOLVENT, *map(str, arguments)], capture_output=True, env=environment, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_look_at_a_run_can_be_printed_in_any_encoding(lived: Path, encoding: str) -> None:
    for command in ("status", "curve", "audit", "topics"):
        done = printed(command, lived, encoding=encoding, TERM="dumb", NO_COLOR="1")
        assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode(encoding)
        assert text.strip() and "\x1b" not in text
        if encoding == "ascii" and command == "status":
            assert "held-out accuracy" in text and " > " in text


@pytest.mark.parametrize("command", ["schema", "recipes", "topics", "--help"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_goes_away_leaves_no_traceback(command: str, buffered: str) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            [EVOLVENT, command],
            stdout=writes,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
            check=False,
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("odd\udcff", "whose name is text"),
        ("a\nline", "whose name is text"),
        ("a" * 300, "too long"),
        ("a/" * 2000, "too long"),
    ],
)
@pytest.mark.parametrize("command", [["run", "--dir"], ["status"], ["agent", "solver", "--dir"]])
def test_a_folder_that_cannot_be_is_a_sentence(
    refused: Refused, tmp_path: Path, name: str, said: str, command: list[str]
) -> None:
    assert said in refused(*command, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_other_names_that_cannot_be_are_sentences(refused: Refused, tmp_path: Path) -> None:
    assert "too long" in refused("run", "--plugin", tmp_path / ("a" * 300))
    assert "no text" in refused("run", "--set", "name=\udcff", "--dir", tmp_path / "r")


def test_a_name_of_odd_bytes_is_said_byte_by_byte(tmp_path: Path) -> None:
    done = printed("run", "--recipe", tmp_path / "gone\udcff.toml", "--dir", tmp_path / "r")
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert b"gone\xff.toml" in done.stderr


def test_which_evolvent_this_is(shown: Shown) -> None:
    words = shown("--version").split()
    assert words[0] == "evolvent" and words[1][0].isdigit()


def test_topics_that_are_empty_for_the_dead_are_one_line() -> None:
    done = evolvent("topics")
    assert ".dead," in done.stdout and "tasks.dead" not in done.stdout
