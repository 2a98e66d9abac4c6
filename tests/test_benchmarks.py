"""Benchmarks are run by hand: that they can be started is tried here."""

import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from random import Random

import pytest

from benchmarks import _carry
from benchmarks.kafka.client import ROWS, Row
from benchmarks.kafka.trial import ROOT
from harness.kafka_harm import Plan
from harness.shown import exit_code

SCRIPTS = sorted(
    path.name for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("_")
)


def started(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_says_what_it_takes(script: str, tmp_path: Path) -> None:
    done = started(str(ROOT / "benchmarks" / script), "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout


def test_what_is_too_large_to_be_carried_goes_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_carry, "PART_BYTES", 10)
    whole = tmp_path / "model.whl"
    whole.write_bytes(bytes(range(25)))
    parts = _carry.split(whole)
    assert [len(part.read_bytes()) for part in parts] == [10, 10, 5]
    assert b"".join(part.read_bytes() for part in sorted(parts)) == bytes(range(25))
    assert not whole.exists()


def test_the_clients_of_a_trial_find_what_they_import() -> None:
    done = started("-c", "import benchmarks.kafka.client", folder=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_of_the_table_names_a_client(row: Row) -> None:
    module = import_module(f"benchmarks.kafka.{row.module}")
    assert callable(getattr(module, row.function))


def test_a_benchmark_that_did_less_than_it_counts_has_shown_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code({"kills": 5, "lost": 0}, {"kills": 5}, ("lost",)) == 0
    assert exit_code({"kills": 0, "lost": 0}, {"kills": 5}, ("lost",)) == 1
    assert exit_code({"kills": 5, "lost": 2}, {"kills": 5}, ("lost",)) == 1
    assert exit_code({"learned": False}, {"learned": True}) == 1
    said = capsys.readouterr().err
    assert "kills: 0 of 5" in said and "lost: 2, not 0" in said


@pytest.mark.parametrize("plan", [Plan(), Plan.quick()], ids=["whole", "quick"])
def test_all_of_a_plan_of_harm_is_counted(plan: Plan) -> None:
    steps = Counter(plan.steps(Random(0)))
    wanted = plan.wanted()
    assert wanted["kills"] >= 1
    assert wanted["broker_restarts"] == steps["broker"] and wanted["cuts"] == steps["cut"]
