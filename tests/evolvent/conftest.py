"""One real run for all: started by the console entry, small enough to end in seconds."""

import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

EVOLVENT = str(Path(sys.executable).with_name("evolvent"))
TINY = """
description = "a run of a few seconds"
[run]
budget_seconds = 3
[domain]
type = "strings"
families = ["reverse"]
levels = [1, 2, 3, 4, 5]
warmup_levels = [1, 2]
held_out_from = 4
[model]
hidden = 16
intermediate = 24
layers = 2
heads = 2
head_dim = 8
[warmup]
steps = 20
batch = 16
[trainer]
size = 8
[solver]
samples = 2
[evaluator]
every = 10
count = 4
"""


def evolvent(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EVOLVENT, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that learns a version in a fraction of a second."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def lived(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that evolved for its budget and ended; nobody writes to it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = evolvent("run", "--recipe", str(tiny), "--dir", str(folder))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (folder / "shown.txt").write_text(done.stdout)
    return folder


@pytest.fixture
def copied(lived: Path, tmp_path: Path) -> Path:
    """The run again, to be damaged: no file of it is shared, the log is one file."""
    folder = shutil.copytree(lived, tmp_path / "tiny")
    connection = apsw.Connection(str(folder / "log.sqlite"))
    connection.pragma("wal_checkpoint(TRUNCATE)")
    connection.close()
    return folder
