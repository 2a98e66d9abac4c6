"""A dashboard over the run that comes along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from evolvent.watching.sources import sources
from observability.dashboard.app import dashboard
from tests.observability.dashboard.asking import HERE, Page


@pytest.fixture(scope="module")
def page(example: Path) -> Iterator[Page]:
    with TestClient(dashboard(sources([example], None)), base_url=HERE) as client:
        found = Page(client)
        found.wait("example")
        yield found
