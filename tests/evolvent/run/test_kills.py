"""Real processes of a real run, killed at random and at the worst moment there is."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.kills import measure
from bus.bus import Bus
from bus.events import Weights
from harness.runs import Start, audit, events, opened
from trainer.checkpoint.manifest import Manifest, checkpoint_folders, read_manifest

SMALL = (
    'domain.families=["reverse"]',
    "domain.levels=[1, 2, 3, 4, 5, 6]",
    "warmup.steps=40",
    "trainer.size=16",
    "evaluator.count=4",
)


@pytest.mark.long
def test_random_kills_lose_nothing_and_learning_goes_on(tmp_path: Path) -> None:
    figures = measure(tmp_path / "run", kills=20, seconds=120, seed=20)
    assert figures["kills"] >= 10
    for damage in ("lost", "duplicated", "trained_twice", "violations"):
        assert figures[damage] == 0, figures
    assert figures["versions"] > 12
    assert figures["held_out_end"] > figures["held_out_start"]


@pytest.mark.slow
def test_a_checkpoint_that_was_not_published_is_published_and_not_trained_again(
    tmp_path: Path,
) -> None:
    run, faults = tmp_path / "run", tmp_path / "faults"
    faults.mkdir()
    words = [word for setting in SMALL for word in ("--set", setting)]
    start = Start(
        run,
        *("--budget", "1h", "--recipe", "strings", *words),
        environment={"EVOLVENT_FAULTS": str(faults)},
    )
    try:
        pending, published = asyncio.run(_crash_after_the_rename(start, faults))
        assert start.interrupt() == 0, start.last_words()
    finally:
        start.end()
    assert published == pending.weights
    of_that_version = [
        folder
        for folder in checkpoint_folders(run)
        if folder.name.startswith(f"v{pending.version:06d}-")
    ]
    assert [read_manifest(folder) for folder in of_that_version] == [pending]
    counts = audit(run)["counts"]
    assert counts["violations"] == counts["trained_twice"] == counts["orphans"] == 0
    assert counts["epochs"] == 2


async def _crash_after_the_rename(start: Start, faults: Path) -> tuple[Manifest, Weights]:
    """The manifest that the dead trainer left, and the version that its successor published."""
    bus = await opened(start.folder, start)
    try:
        await _until(lambda: _versions(bus) >= 2, start)
        armed = faults / "trainer.renamed"
        armed.touch()
        await _until(lambda: not armed.exists(), start)
        left = read_manifest(list(checkpoint_folders(start.folder))[-1])
        assert left.version == _versions(bus), "it is not on the log yet"
        await _until(lambda: _versions(bus) >= left.version + 3, start)
        published = events(bus, "weights")[left.version]
        assert isinstance(published, Weights)
        return left, published
    finally:
        await bus.close()


def _versions(bus: Bus) -> int:
    return bus.log.heads()["weights", 0]


async def _until(condition: Callable[[], bool], start: Start) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert start.code is None and time.monotonic() < deadline, start.last_words()
        await asyncio.sleep(0.02)
