"""A real run from the outside: it learns, can be asked, goes on, stops, and proves itself."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.evolvent.conftest import EVOLVENT, evolvent

pytestmark = pytest.mark.slow


def parsed(*arguments: str) -> Any:
    done = evolvent(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_a_run_learns_reports_and_says_how_to_go_on(lived: Path) -> None:
    assert len(list((lived / "checkpoints").glob("v*"))) > 3
    page = (lived / "report" / "index.html").read_text()
    assert "<html" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    shown = (lived / "shown.txt").read_text()
    assert "evolvent run --dir" in shown
    assert "restarts" not in shown or " 0" in shown


def test_the_audit_finds_nothing(lived: Path) -> None:
    found = parsed("audit", str(lived))
    assert found["ok"] and found["violations"] == []
    assert found["counts"]["versions"] > 3


def test_status_and_curve_are_for_programs_too(lived: Path) -> None:
    status = parsed("status", str(lived))
    assert status["version"] == len(list((lived / "checkpoints").glob("v*"))) - 1
    curve = parsed("curve", str(lived))
    assert curve[0]["version"] == 0
    # The newest version is always the last that was evaluated.
    assert curve[-1]["version"] == status["version"]


def test_curves_are_drawn_into_a_picture(lived: Path, tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    other = tmp_path / "other"
    shutil.copytree(lived, other)
    two = parsed("curve", str(lived), str(other), "--png", str(picture))
    assert two == {str(run): parsed("curve", str(run)) for run in (lived, other)}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["curves.png"]
    shown = evolvent("curve", str(lived), str(other)).stdout
    assert str(other) in shown and shown.count("held-out accuracy over versions") == 2


def test_every_version_can_be_evaluated(lived: Path) -> None:
    evaluation = parsed("evaluate", str(lived), "--version", "1", "--count", "3")
    assert evaluation["weights_version"] == 1
    assert [score["level"] for score in evaluation["scores"]] == [1, 2, 3, 4, 5]
    assert {score["total"] for score in evaluation["scores"]} == {3}


def test_stock_transformers_answers_as_ask_does(lived: Path) -> None:
    prompts = ["12", "345", "9081"]
    answers = parsed("ask", str(lived), *prompts, "--version", "0", "--version", "2")
    assert [answer["version"] for answer in answers] == [0, 0, 0, 2, 2, 2]
    assert [answer["expected"] for answer in answers[:3]] == ["21", "543", "1809"]
    for answer in answers:
        [folder] = (lived / "checkpoints").glob(f"v{answer['version']:06d}-*")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        given = tokenizer(answer["prompt"], return_tensors="pt")
        room = len(answer["expected"]) + 2
        made = model.generate(**given, max_new_tokens=room, do_sample=False)
        text = tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
        assert text == answer["completion"]
        assert answer["correct"] in (True, False)


def test_a_run_is_interrupted_cleanly_and_goes_on(copied: Path) -> None:
    before = parsed("status", str(copied))["version"]
    running = subprocess.Popen(
        [EVOLVENT, "run", "--dir", str(copied), "--budget", "10m"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 120
        while len(list((copied / "checkpoints").glob("v*"))) < before + 3:
            assert running.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        second = evolvent("run", "--dir", str(copied))
        assert second.returncode == 2 and "another evolvent is running" in second.stderr
        assert evolvent("audit", str(copied)).returncode == 0  # while it runs
        interrupted = time.monotonic()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert time.monotonic() - interrupted < 20
    assert (running.returncode, err) == (0, "")
    # The command to go on with may be broken over lines, as a shell takes it.
    assert f"evolvent run --dir {copied}" in " ".join(out.replace("\\\n", " ").split())
    assert evolvent("audit", str(copied)).returncode == 0
    assert parsed("status", str(copied))["version"] > before
