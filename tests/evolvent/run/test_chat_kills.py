"""A pre-trained language model evolves over a broker: a server samples, every role is an agent of
its own, and each of these processes is killed once."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bus.bus import Bus
from bus.events import Weights
from bus.kafka.cluster.cluster import Cluster
from evolvent.given.smollm2 import write_smollm2
from evolvent.run.folder import RunFolder
from harness.broker import free_port
from harness.runs import audit, command, events, launch
from tests.evolvent.conftest import evolvent
from tests.evolvent.test_agent import until

LIGHT = ("proposer", "solver", "critic")
"""The agents that compute nothing. An evaluator loads the version that it measures."""

ZEROS = ("violations", "lost", "duplicated", "trained_twice", "orphans")


class Fleet:
    """A server and an agent of every role, by name, all of one run."""

    def __init__(self, run: Path, port: int) -> None:
        self._run = run
        self._words: dict[str, tuple[str, ...]] = {
            "server": ("serve", str(run), "--port", str(port), "--set", "engine.type=local")
        }
        for role in (*LIGHT, "evaluator", "trainer"):
            self._words[role] = ("agent", role, "--dir", str(run), "--name", role)
        self.names = tuple(self._words)
        self._processes: dict[str, psutil.Popen] = {}

    def start(self, name: str) -> None:
        printed = self._run.with_name(f"{name}.txt")
        self._processes[name] = launch(printed, command(*self._words[name]), None)

    def said(self, name: str) -> str:
        return self._run.with_name(f"{name}.txt").read_text()

    def check(self) -> None:
        """All are alive."""
        for name, process in self._processes.items():
            assert process.poll() is None, self.said(name)[-2000:]

    def kill(self, name: str) -> None:
        self._processes[name].kill()
        assert self._processes[name].wait() == -signal.SIGKILL, self.said(name)

    def has_torch(self, name: str) -> bool:
        """Whether its library is in the memory of that process."""
        return "libtorch" in Path(f"/proc/{self._processes[name].pid}/maps").read_text()

    def stop(self) -> dict[str, int]:
        """Exit codes of all, agents before what they ask."""
        for name in reversed(self.names):
            self._processes[name].terminate()
        return {name: self._processes[name].wait(120) for name in self.names}

    def end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def fleet(run: Path, port: int) -> Iterator[Fleet]:
    found = Fleet(run, port)
    try:
        for name in found.names:
            found.start(name)
        yield found
    finally:
        found.end()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_chat_sums_on_a_broker_outlives_the_death_of_each_process(
    tmp_path: Path, cluster: Cluster
) -> None:
    model, run, port = tmp_path / "smollm2", tmp_path / "run", free_port()
    write_smollm2(model)
    chosen = (
        f"model.path={model}", "engine.type=server", f'engine.urls=["http://127.0.0.1:{port}"]',
        "bus.lease_seconds=3", "evaluator.count=8",
    )  # fmt: skip
    words = [word for setting in chosen for word in ("--set", setting)]
    url = f"kafka://{cluster.bootstrap_servers}/{cluster.app}"
    begin = ("seed", "--recipe", "chat-sums", "--dir", str(run), "--bus", url, *words)
    done = evolvent(*begin, timeout=900)
    assert done.returncode == 0, done.stderr

    async def scenario(all_of_them: Fleet) -> None:
        async with RunFolder(run).log() as bus:
            await learned(bus, 2, all_of_them)
            assert [name for name in LIGHT if all_of_them.has_torch(name)] == []
            assert all_of_them.has_torch("server") and all_of_them.has_torch("trainer")
            for name in all_of_them.names:
                all_of_them.kill(name)
                all_of_them.start(name)
                await learned(bus, 2, all_of_them)

    with fleet(run, port) as all_of_them:
        asyncio.run(scenario(all_of_them))
        assert set(all_of_them.stop().values()) == {0}
    found = audit(run)
    assert {name: found["counts"][name] for name in ZEROS} == dict.fromkeys(ZEROS, 0), found


async def learned(bus: Bus, more: int, all_of_them: Fleet) -> None:
    """So many more versions, each of which has learned from something."""
    before = len(steps(bus))

    def done() -> bool:
        all_of_them.check()
        return len(steps(bus)) >= before + more

    await until(done, 600)


def steps(bus: Bus) -> list[float]:
    found = [one for one in events(bus, "weights") if isinstance(one, Weights)][1:]
    return [one.metrics["steps"] for one in found if one.metrics["chosen"]]
