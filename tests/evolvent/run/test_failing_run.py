"""A run that cannot work ends soon, with the first cause in a sentence and not with exit code 0."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.evolvent.conftest import evolvent

BROKEN = '''
"""A judge that is broken as it says."""

from typing import Literal

from agents.parts import PartConfig, Parts


class BrokenConfig(PartConfig):
    type: Literal["broken"] = "broken"
    when: str = "judging"

    def build(self, parts: Parts) -> "Broken":
        if self.when == "building":
            return {}["no such model"]
        return Broken()


class Broken:
    async def judge(self, attempt):
        raise ArithmeticError("Error(s) in judging:\\n\\tno judgment can be made of this")


PARTS = {"judge": [BrokenConfig]}
'''


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path / "broken.py"


def started(tiny: Path, broken: Path, *more: str) -> subprocess.CompletedProcess[str]:
    run = str(broken.parent / "run")
    words = ("run", "--recipe", str(tiny), "--dir", run, "--plugin", str(broken))
    return evolvent(*words, "--set", "judge.type=broken", *more)


@pytest.mark.long
def test_who_dies_of_every_event_ends_the_run_with_its_own_words(tiny: Path, broken: Path) -> None:
    done = started(tiny, broken, "--budget", "10m")
    reason = "ArithmeticError: Error(s) in judging: no judgment can be made of this"
    assert done.returncode == 1
    assert done.stderr.startswith("evolvent: the critic died 4 times in a row: " + reason)
    assert done.stderr.count("\n") == 1 and "last crash" in done.stdout
    assert "Go on with:" in done.stdout and "╰" in done.stdout
    status = evolvent("status", str(broken.parent / "run"), "--json")
    [crash] = json.loads(status.stdout)["crashes"]
    assert (crash["who"], crash["reason"], crash["times"]) == ("critic", reason, 4)
    assert "last crash" in evolvent("status", str(broken.parent / "run")).stdout


@pytest.mark.long
def test_a_budget_that_ends_before_that_hides_nothing(tiny: Path, broken: Path) -> None:
    done = started(tiny, broken, "--budget", "1s")
    assert done.returncode == 1 and "no judgment can be made of this" in done.stderr


@pytest.mark.long
def test_what_cannot_be_opened_is_refused_at_once(tiny: Path, broken: Path) -> None:
    done = started(tiny, broken, "--set", "judge.when=building")
    assert done.returncode == 2
    assert done.stderr == "evolvent: the critic cannot work: KeyError: 'no such model'\n"
