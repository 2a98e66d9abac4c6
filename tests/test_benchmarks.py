"""Benchmarks are run by hand: that they can be started is tried here."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.kafka.client import ROWS, Row
from benchmarks.kafka.trial import ROOT

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


def test_the_clients_of_a_trial_find_what_they_import() -> None:
    done = started("-c", "import benchmarks.kafka.client", folder=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_of_the_table_names_a_client(row: Row) -> None:
    module = import_module(f"benchmarks.kafka.{row.module}")
    assert callable(getattr(module, row.function))
