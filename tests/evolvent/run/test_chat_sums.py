"""`chat-sums` with the pre-trained model that it is for, in little."""

import json
from pathlib import Path

import pytest

from evolvent.given.smollm2 import write_smollm2
from harness.runs import run_to_version
from tests.evolvent.conftest import evolvent


def test_a_missing_model_is_one_sentence_and_nothing_starts(tmp_path: Path) -> None:
    gone = tmp_path / "smollm2"
    where = ("--dir", str(tmp_path / "run"), "--set", f"model.path={gone}")
    done = evolvent("run", "--recipe", "chat-sums", *where)
    assert done.returncode == 2
    assert f"make it: evolvent model smollm2 --out {gone}" in done.stderr
    assert done.stderr.strip().count("evolvent: ") == 1


@pytest.mark.slow
def test_it_evolves_to_its_audit_and_answers(tmp_path: Path) -> None:
    model, run = tmp_path / "smollm2", tmp_path / "run"
    write_smollm2(model)
    little = (
        f"model.path={model}", "warmup.steps=1", "warmup.batch=4", "trainer.size=2",
        "solver.samples=2", "loss.fresh_rows=2", "evaluator.count=2", "judge.type=chance",
    )  # fmt: skip
    chosen = [word for setting in little for word in ("--set", setting)]
    run_to_version(run, "--recipe", "chat-sums", *chosen, version=1, timeout_seconds=600)
    audited = json.loads(evolvent("audit", str(run), "--json").stdout)
    assert audited["ok"], audited["violations"]
    assert audited["counts"]["versions"] > 1
    asked = ("ask", str(run), "What is 12 + 34?", "--version", "0", "--json")
    [answer] = json.loads(evolvent(*asked).stdout)
    assert answer["prompt"] == "What is 12 + 34?" and answer["completion"]
