"""One real run for all: started by the console entry, small enough to end in seconds."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from evolvent.cli import main
from harness.runs import read_topic

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

MINE = """
[source]
type = "short"
[sampler]
type = "sparring"
[judge]
type = "length"
[filter]
type = "some"
[loss]
type = "plain"
[[roles]]
type = "promoter"
"""


def newest(run: Path) -> int:
    """The number of its newest version."""
    return len(read_topic(run, "weights")) - 1


def evolvent(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EVOLVENT, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


def evolve(run: Path, least: int, *words: str) -> subprocess.CompletedProcess[str]:
    """A run that goes on until version `least` is there, as it was first shown: a machine that
    stands still for seconds makes few versions in them."""
    first = done = evolvent("run", "--dir", str(run), *words)
    while done.returncode == 0 and newest(run) < least:
        done = evolvent("run", "--dir", str(run), *words)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return first


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that learns a version in a fraction of a second, and keeps all of them."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(f"{TINY}\n[checkpoints]\nkeep_every = 1\n")
    return path


@pytest.fixture(scope="session")
def lived(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that evolved for its budget and ended; nobody writes to it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = evolve(folder, 5, "--recipe", str(tiny))
    (folder / "shown.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that names a part of every kind; beside it lies `mine.py`, which brings them."""
    folder = tmp_path_factory.mktemp("mine")
    shutil.copy(Path(__file__).with_name("every_part.py"), folder / "mine.py")
    before, domain, after = TINY.partition("[domain]")
    sizes = after[after.index("[model]") :].replace("every = 10", "every = 2")
    (folder / "mine.toml").write_text(f'{before}{domain}\ntype = "mirror"\n{MINE}{sizes}')
    return folder / "mine.toml"


@pytest.fixture(scope="session")
def evolved(mine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of it that has ended; nobody writes to it."""
    run = tmp_path_factory.mktemp("runs") / "mine"
    plugin = ("--plugin", str(mine.with_name("mine.py")))
    evolve(run, 3, "--recipe", str(mine), *plugin)
    return run


@pytest.fixture
def copied(lived: Path, tmp_path: Path) -> Path:
    """The run again, to be damaged: no file of it is shared, the log is one file."""
    folder = shutil.copytree(lived, tmp_path / "tiny")
    connection = apsw.Connection(str(folder / "log.sqlite"))
    connection.pragma("wal_checkpoint(TRUNCATE)")
    connection.close()
    return folder


Refused = Callable[..., str]
Shown = Callable[..., str]


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Shown:
    """Runs a command that must end well, in this process; what it prints."""

    def show(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        assert not ended.value.code, printed.err
        return printed.out

    return show


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must be refused; the sentence."""

    def refuse(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr().err
        assert ended.value.code == 2, said
        assert said.startswith("evolvent: ") and said.count("\n") == 1, said
        return said.removeprefix("evolvent: ").rstrip()

    return refuse
