"""Ctrl-C at any moment of a run on a real terminal: its summary and the command to go on are there,
whole, and nothing of the screen is torn."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.screen import CTRL_C, Screen
from tests.evolvent.conftest import EVOLVENT, evolvent

Act = Callable[[Screen], None]


def once(screen: Screen) -> None:
    screen.type(CTRL_C)


def again_and_again(screen: Screen) -> None:
    for _ in range(6):
        screen.type(CTRL_C)
        time.sleep(0.4)


def terminated(screen: Screen) -> None:
    screen.signal(signal.SIGTERM)


def shown(text: str) -> str:
    """Without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")


def interrupted(tiny: Path, run: Path, moment: str, act: Act, *more: str) -> tuple[int, str]:
    words = [EVOLVENT, "run", "--recipe", str(tiny), "--dir", str(run), *more]
    with Screen(words) as screen:
        screen.until(moment, 120)
        act(screen)
        return screen.ended(90), shown(screen.text)


MOMENTS = [
    ("loading what", once),
    ("loading what", again_and_again),
    ("evolving", once),
    ("evolving", again_and_again),
    ("evolving", terminated),
    ("drawing the report", again_and_again),
]


@pytest.mark.long
@pytest.mark.parametrize(("moment", "act"), MOMENTS)
def test_the_summary_is_whole_whenever_a_person_interrupts(
    tiny: Path, tmp_path: Path, moment: str, act: Act
) -> None:
    budget = "2s" if "report" in moment else "5m"
    code, text = interrupted(tiny, tmp_path / "run", moment, act, "--budget", budget)
    assert code == 0 and "Traceback" not in text
    assert "^C" not in text
    assert text.count("╭") == text.count("╰")
    summary, _, command = text.rpartition("Go on with:")
    assert summary.rstrip().endswith(("╯", "begins again.")), summary[-500:]
    assert str(tmp_path / "run") in "".join(command.split())
    if moment == "evolving":
        assert evolvent("audit", str(tmp_path / "run")).returncode == 0


@pytest.mark.long
def test_a_warm_up_that_is_given_up_is_said_to_be_lost(tiny: Path, tmp_path: Path) -> None:
    steps = ("--set", "warmup.steps=100000")
    code, text = interrupted(
        tiny, tmp_path / "run", "warming up the seed model", again_and_again, *steps
    )
    assert code == 0
    assert re.search(r"its warm-up \(\d+ of 100000 steps\) is lost and begins again", text)
    assert list((tmp_path / "run" / "checkpoints").glob("v*")) == []


def test_before_anything_is_begun_an_interrupt_is_a_sentence(tmp_path: Path) -> None:
    """The recipe comes through a pipe that nobody writes to: the command waits for it."""
    pipe = tmp_path / "recipe.toml"
    subprocess.run(["mkfifo", pipe], check=True)
    command = [EVOLVENT, "run", "--recipe", str(pipe), "--dir", str(tmp_path / "run")]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert waiting.stdout is not None and "reading the recipe" in waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=20)
    assert (waiting.returncode, said) == (130, "evolvent: interrupted before anything was begun\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_reader_that_goes_away_ends_the_run_in_order(tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        f"{EVOLVENT} run --recipe {tiny} --dir {run} --budget 10m | head -3",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == "" and len(done.stdout.splitlines()) == 3
    assert evolvent("audit", str(run)).returncode == 0


@pytest.mark.long
def test_a_seed_model_that_is_given_up_is_said_to_be_lost(tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [EVOLVENT, "seed", "--recipe", str(tiny), "--dir", str(run)]
    with Screen([*words, "--set", "warmup.steps=100000"]) as screen:
        screen.until("warming up the seed model", 120)
        interrupted_at = time.monotonic()
        screen.type(CTRL_C)
        code = screen.ended(60)
    assert code == 130 and time.monotonic() - interrupted_at < 20
    assert "is lost and begins again" in screen.text and "Traceback" not in screen.text
    # The cursor is shown again.
    assert screen.text.rfind("\x1b[?25h") > screen.text.rfind("\x1b[?25l")
