"""A dashboard over a run with known numbers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from evolvent.opened.example import unpack
from evolvent.watching.sources import sources
from observability.dashboard.app import dashboard
from tests.conftest import FORMER
from tests.observability.dashboard.asking import HERE, Page


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "example"
    unpack(FORMER, run)
    return run


@pytest.fixture(scope="module")
def page(example: Path) -> Iterator[Page]:
    with TestClient(dashboard(sources([example], None)), base_url=HERE) as client:
        found = Page(client)
        found.wait("example")
        yield found
