"""A run on a real broker: every role a process of its own, killed, shared and handed over."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.bus import Bus
from bus.events import Curriculum
from bus.kafka.cluster.cluster import Cluster
from evolvent.cli import main
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import opened as opened_log
from evolvent.run.log import started
from harness.broker import free_port
from harness.runs import Start, audit, events, opened, read_scores
from tests.bus.kafka.runs import forget
from tests.evolvent.test_agent import agent, owners, until

Refused = Callable[..., str]

QUICK = (
    'domain.families=["reverse"]',
    "domain.levels=[1, 2, 3, 4, 5]",
    "domain.warmup_levels=[1, 2, 3]",
    "warmup.steps=80",
    "trainer.size=32",
    "evaluator.every=10",
    "evaluator.count=16",
)
"""Learns to reverse four digits within some thirty versions, and five within fifty."""


@pytest.fixture
def url(cluster: Cluster) -> str:
    return f"kafka://{cluster.bootstrap_servers}/{cluster.app}"


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str], tmp_path: Path, tiny: Path) -> Refused:
    """The sentence that `evolvent run` ends with in a folder of `tmp_path`."""

    def refuse(folder: str, *arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["run", "--recipe", str(tiny), "--dir", str(tmp_path / folder), *arguments])
        said = capfd.readouterr().err
        assert ended.value.code == 2, said
        assert said.startswith("evolvent: ") and said.count("\n") == 1, said
        return said

    return refuse


def test_a_start_that_does_not_reach_its_broker_leaves_nothing_behind(
    refused: Refused, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"kafka://127.0.0.1:{free_port()}"
    assert "does not answer" in refused("r", "--bus", nobody)
    secured = ("--bus", url, "--set", "bus.security.protocol=SASL_PLAINTEXT")
    monkeypatch.delenv("EVOLVENT_KAFKA_PASSWORD", raising=False)
    assert "set EVOLVENT_KAFKA_PASSWORD" in refused("r", *secured)
    monkeypatch.setenv("EVOLVENT_KAFKA_PASSWORD", "wrong")
    assert "security settings" in refused("r", *secured)
    encrypted = ("--bus", url, "--set", "bus.security.protocol=SSL")
    assert "certificates" in refused("r", *encrypted, "--set", "bus.security.ca_file=none.pem")
    assert "security settings" in refused("r", *encrypted)
    assert not (tmp_path / "r" / "recipe.json").exists()


def test_a_name_on_the_broker_is_one_run(
    refused: Refused, url: str, tmp_path: Path, tiny: Path, cluster: Cluster
) -> None:
    async def start(folder: RunFolder) -> None:
        recipe = load_recipe(str(tiny), None, url)
        async with opened_log(folder, recipe, print) as bus:
            await bus.publish([started(folder, recipe, 0)])

    asyncio.run(start(RunFolder(tmp_path / "first")))
    assert f"holds the run {cluster.app}-" in refused("second", "--bus", url)
    assert not (tmp_path / "second" / "recipe.json").exists()
    assert "`evolvent copy`" in refused("first", "--bus", "sqlite")
    # The folder of another run, though it has the same name on the broker.
    other = json.loads((tmp_path / "first" / "recipe.json").read_text())
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "recipe.json").write_text(json.dumps(other | {"run_id": "other-1"}))
    assert "third is the folder of other-1" in refused("third")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_on_kafka_learns_and_goes_on_when_everything_was_killed(
    url: str, tmp_path: Path, cluster: Cluster
) -> None:
    run = tmp_path / "run"
    words = [word for setting in QUICK for word in ("--set", setting)]
    first = Start(run, "--recipe", "strings", "--bus", url, "--budget", "1h", *words)
    try:
        asyncio.run(_reached(first, 5))
        assert len(first.workers()) == 5
    finally:
        first.end()
    second = Start(run, "--budget", "600s", "--until", "0.3")
    try:
        assert second.process.wait(700) == 0, second.last_words()
    finally:
        second.end()
    counts = audit(run)["counts"]
    assert counts["violations"] == counts["lost"] == counts["trained_twice"] == 0
    scores = read_scores(run)
    assert scores[0].mean < 0.2 and scores[-1].mean >= 0.3
    asyncio.run(forget(cluster))
    third = Start(run, "--budget", "1s")
    assert third.process.wait(60) == 2
    assert "is missing" in third.last_words()


async def _reached(start: Start, version: int) -> None:
    bus = await opened(start.folder, start)
    try:
        await until(lambda: bus.log.heads()["weights", 0] > version or start.code is not None, 150)
        assert start.code is None, start.last_words()
    finally:
        await bus.close()


ROLES = ("proposer", "proposer", "solver", "solver", "critic", "evaluator", "trainer")


@pytest.fixture
def agents(tiny: Path, url: str, tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Two proposers, two solvers and one of each other role, by name, all on one folder."""
    config = tmp_path / "run.toml"
    config.write_text(tiny.read_text())
    found: dict[str, subprocess.Popen[bytes]] = {}
    for index, role in enumerate(ROLES):
        name = f"{role}-{index}"
        arguments = ("--config", str(config), "--bus", url, "--dir", str(tmp_path / "run"))
        lease = ("--set", "bus.lease_seconds=3")
        found[name] = agent(tmp_path / name, role, *arguments, *lease, "--name", name)
    yield found
    for process in found.values():
        process.kill()
        process.wait()


@pytest.mark.long
def test_agents_share_the_work_stand_by_and_hand_over(
    agents: dict[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def said(name: str) -> str:
        return (tmp_path / name).read_text()

    async def scenario() -> None:
        await until(lambda: "serving trainer" in said("trainer-6"))
        async with RunFolder(run).log() as bus:
            await until(lambda: owners(bus, "solver", "tasks") == {"solver-2", "solver-3"})
            await _goes_on(bus)
            agents["solver-2"].send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(agents["solver-2"].wait, 60) == 0
            assert owners(bus, "solver", "tasks") == {"solver-3"}, "stopped, it hands over at once"
            [asking] = owners(bus, "proposer", "weights")
            agents[asking].kill()
            await until(
                lambda: (
                    owners(bus, "proposer", "weights") == {"proposer-0", "proposer-1"} - {asking}
                )
            )
            await _goes_on(bus)
            arguments = ("trainer", "--dir", str(run), "--name", "trainer-7")
            agents["trainer-7"] = agent(tmp_path / "trainer-7", *arguments)
            assert await asyncio.to_thread(agents["trainer-6"].wait, 90) == 2
            assert "another process has taken over" in said("trainer-6")
            await _goes_on(bus)
            for process in agents.values():
                process.send_signal(signal.SIGTERM)
            codes = {name: await asyncio.to_thread(one.wait, 60) for name, one in agents.items()}
            assert codes == dict.fromkeys(agents, 0) | {asking: -signal.SIGKILL, "trainer-6": 2}
            asked = [event for event in events(bus, "curricula") if isinstance(event, Curriculum)]
            tasks = sum(end for (topic, _), end in bus.log.heads().items() if topic == "tasks")
            # What the one had asked, the other knew.
            assert asked[-1].proposed == tasks

    asyncio.run(scenario())
    assert "waiting for version 0" in said("solver-2") + said("solver-3") + said("evaluator-5")
    assert audit(run)["counts"]["violations"] == 0


async def _goes_on(bus: Bus) -> None:
    version = bus.log.heads()["weights", 0]
    await until(lambda: bus.log.heads()["weights", 0] > version + 3)
