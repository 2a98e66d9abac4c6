"""Runs to audit."""

import shutil
from pathlib import Path

import pytest

from tests.observability.audit.audited_run import VERSIONS, Life, make, task_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at rest: five versions after the first, some tasks still open."""

    async def script(life: Life) -> None:
        await life.live(VERSIONS)
        assert life.head is not None
        await life.bus.publish([task_of(life.head, 90), task_of(life.head, 91)])

    return make(tmp_path_factory.mktemp("whole") / "run", script)


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")
