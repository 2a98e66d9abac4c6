"""`evolvent topics`: what there is, what should be, and a refusal where the two differ."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from bus.kafka.bus import KafkaBus
from bus.kafka.cluster.cluster import Cluster
from bus.topics import TOPICS
from evolvent.run.topics import survey
from tests.bus.contract.saying import task
from tests.bus.kafka.test_kafka_topics import alter
from tests.evolvent.conftest import evolvent


def topics(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = evolvent("topics", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == (code == 2)
    return done


def lines(cluster: Cluster) -> list[str]:
    return ["--bus", f"kafka://{cluster.bootstrap_servers}/{cluster.app}"]


def test_the_topics_of_a_run_on_one_machine_and_their_events(lived: Path) -> None:
    rows = {row["name"]: row for row in json.loads(topics(str(lived), "--json").stdout)}
    assert rows["tasks"]["partitions"] == 4 and rows["tasks"]["key"] == "task id"
    assert rows["judgments"]["events"] > 0 and rows["tasks.dead"]["events"] == 0
    assert "Problems to solve." in topics().stdout


def test_what_is_missing_is_said_and_made(cluster: Cluster) -> None:
    said = topics(*lines(cluster), code=2).stderr
    assert f"{cluster.app}.tasks and {len(TOPICS) + 2} more" in said and "--create" in said
    made = " ".join(topics(*lines(cluster), "--create").stdout.split())
    more = topics(*lines(cluster), "--set", "bus.replication=2", code=2).stderr
    assert "has 1 copies, the configuration wants 2" in more
    assert "for ever" in made and "every topic is as it should be" in made
    topics(*lines(cluster))


def test_the_number_of_partitions_is_chosen_once(
    cluster: Cluster, tiny: Path, tmp_path: Path
) -> None:
    topics(*lines(cluster), "--create", "--set", "bus.partitions=6")
    found = survey(None, lines(cluster)[1])
    of = {row["name"]: row["partitions"] for row in found.rows}
    assert not found.problems and (of["tasks"], of["judgments"], of["journal"]) == (6, 6, 1)
    other = topics(*lines(cluster), "--set", "bus.partitions=5", code=2).stderr
    assert "has 6 partitions and bus.partitions = 5: the number of a log cannot change" in other
    run = tmp_path / "run"
    start = ("run", "--recipe", str(tiny), "--dir", str(run), "--budget", "1s", *lines(cluster))
    done = evolvent(*start, "--set", "bus.partitions=5")
    assert done.returncode == 2 and not (run / "recipe.json").exists()
    assert done.stderr.count("\n") == 1 and "has 6 partitions and the recipe says" in done.stderr


def test_events_and_bytes_are_counted_and_a_mismatch_is_refused(cluster: Cluster) -> None:
    async def ask() -> None:
        bus = await asyncio.to_thread(KafkaBus, cluster)
        await bus.publish([task(index) for index in range(40)])
        await bus.close()

    asyncio.run(ask())
    rows = {row["name"]: row for row in json.loads(topics(*lines(cluster), "--json").stdout)}
    assert rows["tasks"]["events"] == 40 and rows["tasks"]["bytes"] > 10_000
    assert rows["tasks"]["topic"] == f"{cluster.app}.tasks" and rows["journal"]["bytes"] > 0
    assert rows["tasks"]["settings"]["retention.ms"] == "-1" and not rows["tasks"]["amiss"]
    alter(cluster, "tasks", {"retention.ms": "3600000"})
    done = topics(*lines(cluster), code=2)
    assert "retention.ms  3600000  -1" in done.stdout
    assert f"--entity-name {cluster.app}.tasks --add-config retention.ms=-1" in done.stderr
    found = survey(None, lines(cluster)[1])
    [amiss] = [each for row in found.rows for each in row["amiss"]]
    assert amiss == {"what": "retention.ms", "is_now": "3600000", "should_be": "-1"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bus", "kafka://127.0.0.1:9"], "name the run too"),
        (["--bus", "sqlite"], "name the run too"),
        (["--bus", "amqp://127.0.0.1"], "neither `sqlite` nor kafka://"),
        (["runs/words", "--bus", "kafka://127.0.0.1:9/words"], "not both"),
        (["--bus", "kafka://127.0.0.1:9/words", "--set", "seed=2"], "bus.* alone"),
        (["--bus", "kafka://127.0.0.1:9/words"], "Kafka at 127.0.0.1:9 does not answer"),
    ],
)
def test_what_a_user_can_get_wrong(arguments: list[str], words: str) -> None:
    assert words in topics(*arguments, code=2).stderr
