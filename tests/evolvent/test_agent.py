"""One role as a process of its own: what it refuses, what it waits for, and that it shares the
work of a run on this machine's log."""

import asyncio
import logging
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bus.bus import Bus
from evolvent.agent import files_arrived
from evolvent.run.folder import RunFolder
from tests.agents.asking import weights
from tests.evolvent.conftest import EVOLVENT, evolvent


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["teacher"], "there is no role teacher: there are proposer, solver"),
        (["solver", "--name", "a name"], "--name a name: up to 100 letters"),
        (["solver", "--config", "nonesuch"], "there is no recipe nonesuch"),
        (["solver", "--bus", "kafka://here"], "'kafka://here' is neither `sqlite` nor kafka://"),
    ],
)
def test_what_an_agent_cannot_be_started_with(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = evolvent("agent", *arguments, "--dir", str(tmp_path / "r"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert words in done.stderr
    assert not (tmp_path / "r").exists()


def test_files_that_come_later_than_their_version_are_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        version = weights(3, location="v3").model_copy(update={"files": {"model": "0"}})
        waiting = asyncio.ensure_future(files_arrived(tmp_path, version))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        (tmp_path / "v3").mkdir()
        (tmp_path / "v3" / "model").touch()
        await asyncio.wait_for(waiting, 10)

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert "waiting for" in caplog.text and "version 3" in caplog.text


def agent(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`evolvent agent`; what it says goes to `log`."""
    with log.open("wb") as file:
        return subprocess.Popen([EVOLVENT, "agent", *arguments], stderr=file)


def owners(bus: Bus, group: str, topic: str) -> set[str]:
    return {lag.owner for lag in bus.log.lag(group) if lag.topic == topic}


async def until(condition: object, seconds: float = 90) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come so far"
        await asyncio.sleep(0.1)


@pytest.mark.slow
def test_an_agent_for_which_no_partition_is_left_ends_with_a_sentence(copied: Path) -> None:
    """Exit code 2: whoever watches over it does not start it again."""

    async def scenario() -> None:
        async with RunFolder(copied).log(writable=True) as bus:
            group = [bus.subscribe(["attempts"], "critic", f"critic-{n}") for n in range(4)]
            for one in group:
                await one.take(1_000, 0.1)
            await until(lambda: len(owners(bus, "critic", "attempts")) == 4)
            named = ("agent", "critic", "--name", "fifth", "--dir", str(copied))
            done = await asyncio.to_thread(evolvent, *named, timeout=60)
            assert done.returncode == 2, done.stderr
            assert "'critic' has 4 partitions and more members: critic-0," in done.stderr
            assert "Traceback" not in done.stderr
            for one in group:
                await one.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_an_agent_beside_a_run_shares_its_work_and_hands_it_back(
    tiny: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with (tmp_path / "run.txt").open("wb") as printed:
        main = subprocess.Popen(
            [EVOLVENT, "run", "--recipe", str(tiny), "--dir", str(run), "--budget", "10m"],
            stdout=printed,
            stderr=printed,
        )

    def said_by_second() -> str:
        return (tmp_path / "second.txt").read_text()

    async def scenario() -> int:
        await until(lambda: (run / "log.sqlite").exists() and (run / "recipe.json").exists())
        second = agent(tmp_path / "second.txt", "solver", "--dir", str(run), "--name", "second")
        try:
            async with RunFolder(run).log() as bus:
                await until(lambda: owners(bus, "solver", "tasks") == {"solver", "second"})
                await until(lambda: "serves version" in said_by_second())
                second.send_signal(signal.SIGTERM)
                code = await asyncio.to_thread(second.wait, 60)
                await until(lambda: owners(bus, "solver", "tasks") == {"solver"})
                version = bus.log.heads()["weights", 0]
                await until(lambda: bus.log.heads()["weights", 0] > version + 3)
            return code
        finally:
            second.kill()

    try:
        assert asyncio.run(scenario()) == 0
        main.send_signal(signal.SIGINT)
        assert main.wait(60) == 0
    finally:
        main.kill()
    for words in ("serving solver", "stopping", "stopped"):
        assert words in said_by_second()
    assert evolvent("audit", str(run)).returncode == 0
