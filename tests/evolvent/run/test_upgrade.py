"""`evolvent upgrade`: a run that an older evolvent made has a log of today and is the same run."""

import json
from pathlib import Path

import pytest

from bus.sqlite.bus import SqliteBus
from evolvent.run.folder import RunFolder
from tests.evolvent.conftest import Shown, evolvent
from tests.evolvent.run.test_old_run import records, unpacked


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return unpacked(tmp_path)


def test_an_old_run_is_upgraded_once_and_stays_what_it_was(old: Path, shown: Shown) -> None:
    before, audited = records(old), json.loads(shown("audit", old, "--json"))
    assert shown("upgrade", old).endswith("the log is upgraded\n")
    assert records(old) == before
    assert json.loads(shown("audit", old, "--json")) == audited
    assert shown("upgrade", old).endswith("the log is up to date, there is nothing to do\n")


def test_a_run_in_use_is_refused(old: Path) -> None:
    with RunFolder(old).locked():
        done = evolvent("upgrade", str(old))
    assert (done.returncode, done.stdout) == (2, "")
    assert "another evolvent is running" in done.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    done = evolvent("upgrade", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a run" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_new_log_needs_nothing(old: Path, shown: Shown) -> None:
    for file in old.glob("log.sqlite*"):
        file.unlink()
    SqliteBus(old / "log.sqlite")._stop()
    assert shown("upgrade", old).endswith("there is nothing to do\n")
