"""What tests share: a real Kafka, started by the first test that asks for one. Those of vLLM run
where vLLM is installed (`make test-vllm`), and there all of them."""

import asyncio
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from bus.kafka.cluster.cluster import Cluster

FORMER = Path(__file__).parent / "evolvent" / "runs" / "2e3956a.tar.xz"
"""A run that stays as it was recorded, so that tests may count in it."""

# A machine that does much else is no fault of an example.
settings.register_profile("evolvent", deadline=None)
settings.load_profile("evolvent")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker: of EVOLVENT_TEST_KAFKA, or of one that ends with the session."""
    from harness.broker import broker

    if given := os.environ.get("EVOLVENT_TEST_KAFKA"):
        yield given
        return
    with broker(tmp_path_factory.mktemp("kafka")) as address:
        yield address


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that comes along, a copy for each module of tests."""
    from evolvent.opened.example import write_example

    run = tmp_path_factory.mktemp("runs") / "example"
    write_example(run)
    return run


@pytest.fixture
def cluster(kafka: str) -> "Iterator[Cluster]":
    """A run of its own on the broker: no other test uses its topics, which end with the test."""
    from tests.bus.kafka.runs import forget, new_run

    cluster = new_run(kafka)
    yield cluster
    asyncio.run(forget(cluster))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = [item for item in items if item.get_closest_marker("vllm")]
    for item in asked:
        # Its own code warns of torch, transformers and itself.
        item.add_marker(pytest.mark.filterwarnings("default"))
    if find_spec("vllm") is None and asked:
        config.hook.pytest_deselected(items=asked)
        items[:] = [item for item in items if item not in asked]
