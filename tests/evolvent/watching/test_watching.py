"""The dashboard's commands: what they list, what they refuse before anything starts."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from evolvent.watching import labels
from evolvent.watching.beside import listening
from evolvent.watching.serving import token_for
from evolvent.watching.sources import sources
from observability.dashboard.source import Refused as NotDone
from tests.evolvent.conftest import Refused, Shown

NEWEST = 20
"""The last version of the example."""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_every_run_below_a_folder(example: Path, shown: Shown) -> None:
    labels.write(example, ["baseline", "baseline"], "the first one")
    (example.parent / "broken").mkdir(exist_ok=True)
    (example.parent / "broken" / "recipe.json").write_text("{")
    with RunFolder(example).locked():
        broken, run = json.loads(shown("runs", example.parent, "--json"))["runs"]
    assert (run["version"], run["state"]) == (NEWEST, "running")
    assert run["events"] > 4_000
    assert (run["tags"], run["note"]) == (["baseline"], "the first one")
    assert run["best"] >= run["held_out"] > 0.3
    assert run["bytes"] > 10_000_000
    assert "damaged" in broken["error"]
    assert "idle" in shown("runs", example)


def test_what_is_refused(example: Path, tmp_path: Path, taken: int, refused: Refused) -> None:
    assert "name the folder of a run" in refused("dashboard")
    assert "is not a run" in refused("dashboard", str(tmp_path))
    port = refused("dashboard", str(example), "--port", str(taken))
    assert f"port {taken} of 127.0.0.1 is in use" in port
    assert "name the run" in refused("dashboard", "--bus", "kafka://127.0.0.1:9092")
    assert "is neither" in refused("dashboard", "--bus", "nothing")
    assert "8 or more" in refused("dashboard", str(example), "--token", "short")
    assert "no run below" in refused("runs", str(tmp_path))
    run = refused("run", "--dir", str(tmp_path / "new"), "--dashboard", str(taken))
    assert f"--dashboard {taken + 1}" in run
    assert not (tmp_path / "new").exists()


def test_a_token_is_made_where_one_is_needed() -> None:
    assert token_for("127.0.0.1", None, control=False) == ""
    assert len(token_for("127.0.0.1", None, control=True)) > 20
    assert len(token_for("0.0.0.0", None, control=False)) > 20
    assert token_for("0.0.0.0", "of-my-own-1", control=False) == "of-my-own-1"


def test_runs_of_one_name_have_names_of_their_own(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "example").symlink_to(example)
    (tmp_path / "no run").mkdir()
    (tmp_path / "no run" / "recipe.json").write_text("{")
    found = sources([example, tmp_path], None)
    assert [one.id for one in found] == ["example", "example-2"]
    assert "left out" in capsys.readouterr().err


def test_labels_have_limits(tmp_path: Path) -> None:
    with pytest.raises(NotDone, match="at most 20 tags"):
        labels.write(tmp_path, [str(number) for number in range(21)], None)
    with pytest.raises(NotDone, match="cannot be written"):
        labels.write(tmp_path / "nothing", ["a"], None)
    (tmp_path / "labels.json").write_text('{"tags": [], "note": "half \\ud83d"}')
    assert labels.read(tmp_path)["note"] == "half ?"
    (tmp_path / "labels.json").write_text('{"tags": 3}')
    assert labels.read(tmp_path) == {"tags": [], "note": ""}


def test_a_run_is_shown_while_it_goes_on(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def asked() -> str:
        url = capsys.readouterr().err.split()[-1].removesuffix("/")
        host, _, port = url.removeprefix("http://").partition(":")
        for _ in range(200):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /api/v1/runs HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            answer = (await reader.read()).decode()
            writer.close()
            if f'"version":{NEWEST}' in answer:
                return answer
            await asyncio.sleep(0.05)
        raise AssertionError(answer)

    with listening(0) as shown:
        answer = asyncio.run(shown(example, asked()))
    assert '"id":"example"' in answer
    with listening(None) as hidden:
        assert asyncio.run(hidden(example, asyncio.sleep(0, "done"))) == "done"


def test_a_broken_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run"):
        sources([tmp_path], None)
