"""Curves in other programs are those of the log, whatever was interrupted: what these hold is read
back, by their own readers where they have one."""

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bus.events import Evaluation, Event, Weights
from observability.exporters.__main__ import OPENED, follow
from observability.exporters.config import CurvesConfig, Target
from observability.exporters.curves import Curves
from observability.exporters.scalars import step_of
from tests.observability.story import RUN, Story

EVENTS = Story(versions=6, evaluate_every=3).events()
HELD_OUT = {one.weights_version: one.held_out for one in EVENTS if isinstance(one, Evaluation)}
REWARDS = {
    one.number: one.metrics["reward"]
    for one in EVENTS
    if isinstance(one, Weights) and "reward" in one.metrics
}


def test_a_program_that_reads_nothing_holds_no_run_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CurvesConfig(to=("tensorboard",), project="words")
    curves = Curves(config, tmp_path, RUN)
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]

    def begin(*_: object, **settings: Any) -> "subprocess.Popen[bytes]":
        return popen(sleeping, **settings)

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", begin)
    for event in EVENTS * 300:
        curves.hear(event)
    began = time.monotonic()
    curves.close(0.5)
    assert time.monotonic() - began < 10


def tell(run: Path, target: Target, *starts: Sequence[Event]) -> None:
    """A run that is started again and again, and tells all that its log has each time."""
    for events in starts:
        curves = Curves(CurvesConfig(to=(target,), project="words"), run, RUN)
        for event in events:
            curves.hear(event)
        curves.close(120)
        log = (run / "logs" / f"curves-{target}.log").read_text()
        assert "Traceback" not in log, log


def write(run: Path, events: Sequence[Event]) -> None:
    """The same to TensorBoard's files, in this process."""
    steps = [step for event in events if (step := step_of(event)) is not None]
    lines = [json.dumps(step.as_json()) for step in steps]
    follow(OPENED["tensorboard"](run / "curves", "words", RUN), lines)


def check(read: dict[str, list[tuple[int, float]]]) -> None:
    assert [step for step, _ in read["train/reward"]] == list(REWARDS)
    assert dict(read["train/reward"]) == pytest.approx(REWARDS, abs=1e-6)
    assert [step for step, _ in read["eval/held_out"]] == list(HELD_OUT)
    assert dict(read["eval/held_out"]) == pytest.approx(HELD_OUT, abs=1e-6)
    assert any(name.startswith("eval/spell_backward/") for name in read)


def tensorboard(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    read = EventAccumulator(str(run / "curves" / "tensorboard"))
    read.Reload()
    return {
        name: [(one.step, one.value) for one in read.Scalars(name)]
        for name in read.Tags()["scalars"]
    }


def wandb(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Of all files that wait to be sent: records of LevelDB's log behind seven bytes."""
    from wandb.proto import wandb_internal_pb2

    record_type: Any = wandb_internal_pb2

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted((run / "curves" / "wandb").glob("offline-run-*/*.wandb")):
        for data in _level_db(file.read_bytes()):
            record = record_type.Record.FromString(data)
            if record.WhichOneof("record_type") != "history":
                continue
            row = {
                one.key or "/".join(one.nested_key): json.loads(one.value_json)
                for one in record.history.item
            }
            for name, value in row.items():
                found.setdefault(name, []).append((row["version"], value))
    return found


def _level_db(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    at, whole = 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            found.append(whole)
            whole = b""
    return found


def trackio(run: Path) -> dict[str, list[tuple[int, float]]]:
    import sqlite3

    found: dict[str, list[tuple[int, Any]]] = {}
    with sqlite3.connect(run / "trackio" / "words.db") as database:
        for step, text in database.execute("SELECT step, metrics FROM metrics ORDER BY id"):
            for name, value in json.loads(text).items():
                found.setdefault(name, []).append((step, value))
    return found


READERS = {"tensorboard": tensorboard, "trackio": trackio, "wandb": wandb}


def test_a_run_that_goes_on_doubles_no_step(tmp_path: Path) -> None:
    for events in (EVENTS[: len(EVENTS) // 2], EVENTS, EVENTS):
        write(tmp_path, events)
    check(tensorboard(tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("target", list(READERS))
def test_every_program_has_every_step_once(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    tell(tmp_path, target, EVENTS[: len(EVENTS) // 2], EVENTS, EVENTS)
    check(READERS[target](tmp_path))


def test_a_file_that_was_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    write(tmp_path, EVENTS)
    [file] = (tmp_path / "curves" / "tensorboard").iterdir()
    os.truncate(file, file.stat().st_size - 5)
    write(tmp_path, EVENTS)
    last = max(REWARDS)
    assert [step for step, _ in tensorboard(tmp_path)["train/reward"]].count(last) == 1


def test_what_is_not_finite_is_in_no_curve() -> None:
    made = next(one for one in EVENTS if isinstance(one, Weights))
    step = step_of(made.model_copy(update={"metrics": {"loss": float("nan"), "reward": 1.0}}))
    assert step is not None
    assert set(step.values) == {"train/trained", "train/dropped", "train/reward"}


def test_a_program_that_ends_is_said_once_and_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    curves = Curves(CurvesConfig(to=("tensorboard",)), tmp_path, RUN)
    for event in EVENTS * 20:
        curves.hear(event)
    curves.close(20)
    assert caplog.text.count("curves do not go to tensorboard") == 1


def test_each_target_is_named_once() -> None:
    with pytest.raises(ValueError, match="name each once"):
        CurvesConfig(to=("wandb", "wandb"))
