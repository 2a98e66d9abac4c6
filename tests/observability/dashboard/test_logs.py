"""Logs of every kind: damaged and restored, archived, on a broker, with hostile words."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import apsw
import pytest
from starlette.testclient import TestClient

from bus.bus import Bus
from bus.config import KafkaConfig
from bus.events import Event
from bus.kafka.bus import KafkaBus
from bus.sqlite.bus import SqliteBus
from evolvent.recipe.load import load_recipe
from evolvent.run.archive import archive_run
from evolvent.run.folder import RunFolder
from evolvent.watching.sources import BusSource, sources
from observability.dashboard.app import dashboard
from observability.dashboard.source import Refused, Source
from tests.observability.dashboard.asking import HERE, Page
from tests.observability.replay.told import told

if TYPE_CHECKING:
    from bus.kafka.cluster.cluster import Cluster

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egnp.exe \u2066 \x00 \x1b[31m \ud7ff \U0001f9e8",
    "']; DROP TABLE task; --",
    "x" * 100_000,
)


@contextmanager
def opened(*found: Source) -> Iterator[Page]:
    with TestClient(dashboard(found), base_url=HERE) as client:
        yield Page(client)


def said(bus: Bus, events: list[Event]) -> None:
    async def say() -> None:
        await bus.publish(events)
        await bus.close()

    asyncio.run(say())


def a_run(path: Path, events: list[Event]) -> Path:
    RunFolder(path).create(load_recipe("strings"))
    said(SqliteBus(path / "log.sqlite"), events)
    return path


def test_a_damaged_record_is_a_sentence_until_it_is_restored(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", told(4))
    log, whole = run / "log.sqlite", tmp_path / "whole"
    connection = apsw.Connection(str(log))
    connection.pragma("wal_checkpoint(TRUNCATE)")
    connection.close()
    shutil.copy(log, whole)
    connection = apsw.Connection(str(log))
    connection.execute(
        "UPDATE log SET value = x'00' WHERE topic = 'tasks' AND part = 0 AND off = 1"
    )
    connection.close()
    with opened(*sources([run], None)) as page:
        page.until(lambda: "damaged at tasks/" in str(page.get("/runs")["runs"][0]["error"]))
        [shown] = page.get("/runs")["runs"]
        assert shown["state"] == "unreachable"
        error = page.get("/runs/run/events", 503, topic="tasks")["error"]
        assert "restore it from a copy" in error
        assert page.get("/runs/run/events", topic="weights")["events"]
        whole.replace(log)
        page.wait("run")
        assert page.get("/runs/run/events", topic="tasks")["events"]


def test_what_models_say_is_data(tmp_path: Path) -> None:
    events = told(2)
    tasks = [event for event in events if event.type() == "task"]
    for task, words in zip(tasks, HOSTILE, strict=False):
        place = events.index(task)
        events[place] = task.model_copy(
            update={"question": words, "answer": words, "source": words}
        )
    run = a_run(tmp_path / "run", events)
    with opened(*sources([run], None)) as page:
        page.wait("run")
        answer = page.client.get("/api/v1/runs/run/tasks?limit=500")
        assert answer.headers["content-type"] == "application/json"
        found = {one["task"]: one for one in answer.json()["tasks"]}
        for task, words in zip(tasks, HOSTILE, strict=False):
            assert found[task.id]["question"] == words[:300]
            whole = page.get(f"/runs/run/tasks/{task.id}")
            assert whole["task"]["answer"] == words
            for name in ("text", "source", "family", "role"):
                page.get(f"/runs/run/tasks?{urlencode({name: words[:1000]})}")
            page.get("/runs/run/events/search", text=words[:1000])
        assert page.get("/runs/run/tasks", text=HOSTILE[3])["total"] == 1
        assert page.get("/runs/run/tasks", source=HOSTILE[0])["total"] == 1


def test_an_archive_has_the_same(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", told(6))
    place = tmp_path / "archive"
    asyncio.run(archive_run(RunFolder(run), str(place), lambda *_: None))
    with opened(*sources([run], None)) as page:
        page.wait("run")
        live = [page.get(f"/runs/run/{what}", at="4") for what in ("state", "tasks", "versions/3")]
    shutil.rmtree(run / "replay")
    (run / "log.sqlite").rename(tmp_path / "aside")
    with opened(*sources([run], None, str(place))) as page:
        page.wait("run")
        for what, before in zip(("state", "tasks", "versions/3"), live, strict=True):
            assert page.get(f"/runs/run/{what}", at="4") == before


def test_a_log_that_grew_while_nobody_looked(tmp_path: Path) -> None:
    events = told(6)
    half = len(events) // 2
    run = a_run(tmp_path / "run", events[:half])
    with opened(*sources([run], None)) as page:
        page.wait("run")
    said(SqliteBus(run / "log.sqlite", create=False), events[half:])
    with opened(*sources([run], None)) as page:
        page.wait("run")
        grown = page.get("/runs/run/tasks", limit=500), page.get("/runs/run/series")
    shutil.rmtree(run / "replay")
    with opened(*sources([run], None)) as page:
        page.wait("run")
        again = page.get("/runs/run/tasks", limit=500), page.get("/runs/run/series")
    assert json.dumps(grown, sort_keys=True) == json.dumps(again, sort_keys=True)


def test_another_run_in_the_place_of_one_is_opened(tmp_path: Path) -> None:
    run, other = a_run(tmp_path / "run", told(6)), tmp_path / "other"
    RunFolder(other).create(load_recipe("strings", ["seed=7"]))
    said(SqliteBus(other / "log.sqlite"), told(2))
    [source] = sources([run], None)
    with opened(source) as page:
        page.wait("run")
        before = page.get("/runs/run/tasks")["total"]
        page.get("/runs/run/resolve", at="4")
        run.rename(tmp_path / "aside")
        page.until(lambda: "is not a run" in str(page.get("/runs")["runs"][0]["error"]))
        page.get("/runs/run/tasks", 503)
        other.rename(run)
        page.wait("run")
        assert source.run == RunFolder(run).run_id
        page.get("/runs/run/resolve", 400, at="4")
        assert page.get("/runs/run/tasks")["total"] < before
        run.rename(other)
        (tmp_path / "aside").rename(run)
        page.until(lambda: "is another one" in str(page.get("/runs")["runs"][0]["error"]))
        page.wait("run")
        assert page.get("/runs/run/tasks")["total"] == before


def test_what_is_told_goes_to_the_run_that_is_shown(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", told(1))
    [source] = sources([run], None)
    assert asyncio.run(source.tell("pause", None, []))
    shutil.rmtree(run)
    RunFolder(run).create(load_recipe("strings", ["seed=7"]))
    with pytest.raises(Refused, match="another one"):
        asyncio.run(source.tell("pause", None, []))


@pytest.mark.parametrize("whole_pages", [0, 1, 3])
def test_a_damaged_index_is_made_anew(tmp_path: Path, whole_pages: int) -> None:
    run = a_run(tmp_path / "run", told(4))
    with opened(*sources([run], None)) as page:
        page.wait("run")
        tasks = page.get("/runs/run/tasks")
    file = run / "replay" / "dashboard.sqlite"
    whole = file.read_bytes()
    kept = whole[: whole_pages * 4096]
    file.write_bytes(kept + b"\xff" * (len(whole) - len(kept)))

    with opened(*sources([run], None)) as page:

        def is_whole() -> bool:
            answer = page.client.get("/api/v1/runs/run/tasks")
            assert answer.status_code in (200, 503)
            return bool(answer.json() == tasks)

        page.until(is_whole)
        page.wait("run")


def test_a_run_on_a_broker_while_another_goes_on(cluster: "Cluster", tmp_path: Path) -> None:
    events = told(4)
    half = len(events) // 2
    said(KafkaBus(cluster), events[:half])
    beside = a_run(tmp_path / "beside", told(2))
    bus = KafkaConfig(bootstrap_servers=cluster.bootstrap_servers, app=cluster.app)
    with opened(BusSource(bus, "remote"), *sources([beside], None)) as page:
        page.wait("remote")
        page.wait("beside")
        said(KafkaBus(cluster), events[half:])
        page.until(lambda: page.get("/runs")["runs"][0]["index"]["done"] == len(events))
        # The first half is one commit: nothing lies between its events.
        state = page.get("/runs/remote/state", at="2")
        assert sum(state["position"].values()) == half
        assert page.get("/runs/remote/tasks")["total"] > page.get("/runs/beside/tasks")["total"]
        weights = page.get("/runs/remote/events", topic="weights")["events"]
        assert [one["type"] for one in weights] == ["weights"] * 5


def test_a_broker_that_is_away_is_a_sentence() -> None:
    bus = KafkaConfig(bootstrap_servers="127.0.0.1:1", app="nobody")
    with opened(BusSource(bus, "remote")) as page:
        page.until(lambda: "127.0.0.1:1" in str(page.get("/runs")["runs"][0]["error"]))
        assert "127.0.0.1:1" in page.get("/runs/remote/state", 503)["error"]


@pytest.mark.parametrize("path", ["series", "timeline", "versions", "tasks", "topics", "agents"])
def test_a_log_without_events(tmp_path: Path, path: str) -> None:
    run = a_run(tmp_path / "run", [])
    with opened(*sources([run], None)) as page:
        page.until(lambda: page.client.get("/api/v1/runs/run/state").status_code == 200)
        assert page.get(f"/runs/run/{path}")
        assert page.get("/runs/run/resolve")["step"] == 1


def test_when_a_run_was_last_heard_is_known_after_a_restart(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", told(3))
    times = []
    for _ in range(2):
        with opened(*sources([run], None)) as page:
            page.wait("run")
            times.append(page.get("/runs")["runs"][0]["updated_at"])
    assert times[0] is not None
    assert times[0] == times[1]
