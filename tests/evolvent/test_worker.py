"""A process of a run from the inside: all services of it on one event loop, with a real model."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
from transformers import AutoModelForCausalLM

from agents.engines.config import LocalConfig
from bus.bus import Bus
from bus.errors import BusError
from bus.events import Control, Weights, derive_id
from bus.memory.bus import MemoryBus
from evolvent.recipe.load import load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.roles import NAMES
from evolvent.run.folder import RunFolder
from evolvent.run.log import started
from evolvent.voice import LogVoice
from evolvent.worker import Worker
from evolvent.workplace import Workplace
from harness.runs import events
from observability.audit.audit import audit
from tests.bus.sleeping import SleepingBus
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest

_PATIENCE_SECONDS = 120


@pytest.fixture
def recipe(tiny: Path) -> Recipe:
    return load_recipe(str(tiny))


@pytest.fixture
def folder(recipe: Recipe, tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create(recipe)
    return folder


def told(folder: RunFolder, command: str, role: str = "all") -> Control:
    return Control.model_validate(
        {
            "id": derive_id(folder.run_id, "operator", f"{command} {role}"),
            "run": folder.run_id,
            "agent": "operator",
            "command": command,
            "role": role,
        }
    )


async def served(
    folder: RunFolder, bus: Bus, names: tuple[str, ...], end: Callable[[asyncio.Event], bool]
) -> None:
    """A worker from its start to its end. `end` is asked again and again, and handed what stops the
    worker; True means that it has said so."""
    stop = asyncio.Event()
    place = Workplace(folder.path, folder.run_id, folder.recipe(), bus, LogVoice())
    serving = asyncio.ensure_future(Worker(place).run(names, stop))
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not serving.done() and not end(stop):  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
        await serving


def versions(bus: MemoryBus) -> int:
    return bus.heads()["weights", 0]


def test_services_side_by_side_make_versions_and_nobody_reads_the_log_on_the_loop(
    folder: RunFolder,
) -> None:
    async def scenario() -> MemoryBus:
        bus = MemoryBus()
        sleeping = SleepingBus(bus, _PATIENCE_SECONDS)
        await bus.publish([started(folder, folder.recipe(), 0)])

        def after_two(stop: asyncio.Event) -> bool:
            if versions(bus) > 2:
                stop.set()
            return stop.is_set()

        await served(folder, sleeping, NAMES, after_two)
        assert sleeping.log.num_calls > 20
        assert not any(bus.members(name) for name in NAMES)
        # The next one goes on, until the operator says so.
        before = versions(bus)
        said: list[asyncio.Task[None]] = []

        def after_another(stop: asyncio.Event) -> bool:
            if versions(bus) > before and not said:
                said.append(asyncio.ensure_future(bus.publish([told(folder, "stop")])))
            return bool(said)

        await served(folder, sleeping, NAMES, after_another)
        assert not any(bus.members(name) for name in NAMES)
        return bus

    bus = asyncio.run(scenario())
    numbers = [event.number for event in events(bus, "weights") if isinstance(event, Weights)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 3
    assert events(bus, "evaluations")
    found = audit(bus.log, folder.path)
    assert found.ok, found.violations[:3]


def test_a_stopped_role_is_left_out_and_the_others_serve(folder: RunFolder) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([started(folder, folder.recipe(), 0), told(folder, "stop", "critic")])

        def after_joining(stop: asyncio.Event) -> bool:
            if bus.members("proposer"):
                assert not bus.members("critic")
                stop.set()
            return stop.is_set()

        await served(folder, bus, ("critic", "proposer"), after_joining)
        await served(folder, bus, ("critic",), lambda stop: False)

    asyncio.run(scenario())


def test_who_is_told_to_stop_while_it_loads_takes_nothing_over(folder: RunFolder) -> None:
    async def scenario() -> None:
        bus = MemoryBus()

        def at_once(stop: asyncio.Event) -> bool:
            stop.set()
            return True

        await served(folder, bus, ("proposer", "critic"), at_once)
        assert bus.groups() == []

    asyncio.run(scenario())


class AwayBus(MemoryBus):
    """Its broker is away: nobody can join until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.joining, self._closing = threading.Event(), threading.Event()

    def subscribe(self, *args: Any, **options: Any) -> NoReturn:
        self.joining.set()
        assert self._closing.wait(_PATIENCE_SECONDS)
        raise BusError("The bus is closed.")

    async def close(self) -> None:
        self._closing.set()


def test_who_cannot_join_hears_that_it_is_to_stop(folder: RunFolder) -> None:
    async def scenario() -> None:
        bus = AwayBus()

        def while_joining(stop: asyncio.Event) -> bool:
            if bus.joining.is_set():
                stop.set()
            return stop.is_set()

        await served(folder, bus, ("proposer", "critic"), while_joining)
        await bus.close()

    asyncio.run(scenario())


def test_what_a_service_raises_ends_the_process(folder: RunFolder) -> None:
    async def scenario() -> None:
        bus = MemoryBus()

        (folder.path / "checkpoints").write_text("in the way")
        with pytest.raises(OSError, match="checkpoints"):
            await served(folder, bus, ("proposer", "trainer"), lambda stop: False)

    asyncio.run(scenario())


def test_a_trainer_and_an_engine_of_one_process_build_models_one_after_the_other(
    lived: Path,
) -> None:
    """transformers lets nobody build another meanwhile: it would lack what ties its tensors."""
    checkpoint = list(checkpoint_folders(lived))[-1]
    files = read_manifest(checkpoint).weights.files

    async def scenario(executor: ThreadPoolExecutor) -> None:
        for _ in range(8):
            engine = LocalConfig().build(executor, 0)
            trained = executor.submit(AutoModelForCausalLM.from_pretrained, checkpoint)
            await engine.swap(0, checkpoint, files)
            assert trained.done()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(scenario(executor))
