"""Where a run is told of besides its log: what it refuses before it starts, and that a run that is
killed and gone on with tells all of it, once."""

import json
import socket
import sys
import time
from pathlib import Path

import pytest

from bus.events import Evaluation, Weights
from evolvent.commands.options import folder_and_recipe
from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import prepare
from evolvent.watching.metrics import metered
from evolvent.watching.outlets import check
from harness.runs import read_topic, started
from observability.exporters.config import NotifyConfig
from tests.evolvent.conftest import TINY, evolvent
from tests.observability.exporters.test_curves import tensorboard


def test_curves_that_go_to_what_is_not_installed_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = load_recipe("words", ['curves.to=["tensorboard", "wandb"]'])
    check(recipe)
    monkeypatch.setattr(
        "observability.exporters.config.find_spec", lambda name: None if name == "wandb" else name
    )
    with pytest.raises(UsageError, match=r"needs the extra `wandb`: `uv sync --extra wandb`"):
        check(recipe)


def test_where_and_whom_changes_no_recipe() -> None:
    here = load_recipe("words")
    there = load_recipe("words", ['curves.to=["trackio"]', "notify.url=http://127.0.0.1:9/x"])
    assert there.digest == here.digest
    assert here.gone_on_with(there).notify.url == "http://127.0.0.1:9/x"


@pytest.mark.parametrize(
    "setting", ["notify.url=http://", "notify.url=http://\x1b[31m;rm", 'notify.command=[""]']
)
def test_who_can_never_be_notified_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=r"notify\.(url|command)"):
        load_recipe("words", [setting])


def test_a_command_that_a_folder_names_is_not_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(load_recipe("words", ['notify.command=["theirs"]', "notify.stalled_seconds=5"]))
    assert prepare(folder, None).notify == NotifyConfig(stalled_seconds=5)
    for settings, command in (
        (["notify.stalled_seconds=6"], ()),
        (['notify.command=["mine"]'], ("mine",)),
    ):
        _, wanted = folder_and_recipe(None, folder.path, settings)
        assert prepare(folder, wanted).notify.command == command


@pytest.mark.parametrize("place", ["here", "-1", "70000", "127.0.0.1:"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(UsageError, match="write a port from 0 to 65535"), metered(place):
        pass


def test_a_port_that_is_taken_is_refused_with_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = evolvent("run", "--dir", str(tmp_path / "r"), "--metrics", port)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_run_that_is_killed_and_gone_on_with_tells_all_of_it_once(tmp_path: Path) -> None:
    recipe, folder, notices = tmp_path / "tiny.toml", tmp_path / "run", tmp_path / "notices"
    recipe.write_text(TINY)
    script = f"import sys; open({str(notices)!r}, 'a').write(sys.stdin.read() + chr(10))"
    told = ["--set", 'curves.to=["tensorboard"]']
    told += ["--set", f"notify.command={json.dumps([sys.executable, '-c', script])}"]

    def published() -> int:
        return len([*folder.glob("checkpoints/v*")])

    with started(folder, "--recipe", str(recipe), "--budget", "10m", *told) as start:
        while published() < 2:
            assert start.code is None, start.last_words()
            time.sleep(0.5)
        start.workers()["trainer"].kill()
        while "restarting" not in notices.read_text():
            assert start.code is None, start.last_words()
            time.sleep(0.5)
        # The supervisor too: whatever its curves have by now.
        start.process.kill()
        start.process.wait()
    done = evolvent("run", "--dir", str(folder), "--budget", "3s", *told, timeout=600)
    assert done.returncode == 0, done.stderr
    read = tensorboard(folder)
    weights = [one for one in read_topic(folder, "weights") if isinstance(one, Weights)]
    measured = [one for one in read_topic(folder, "evaluations") if isinstance(one, Evaluation)]
    assert [step for step, _ in read["train/trained"]] == [one.number for one in weights]
    assert {step for step, _ in read["eval/held_out"]} == {one.weights_version for one in measured}
    said = [json.loads(line) for line in notices.read_text().splitlines()]
    kinds = [one["event"] for one in said]
    assert kinds == ["started", "restarting", "started", "finished"]
    assert "SIGKILL" in said[1]["text"]
    assert said[-1]["version"] == weights[-1].number
