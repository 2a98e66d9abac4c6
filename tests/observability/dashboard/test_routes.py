"""Every route, on a recorded run."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from bus.log import Log
from evolvent.run.folder import RunFolder
from observability.dashboard.app import ROUTES
from observability.dashboard.schema import OF
from observability.replay import shown
from observability.replay.observe import observe
from observability.replay.position import position
from tests.observability.dashboard.asking import Page

RUN = "/runs/example"


@pytest.fixture(scope="module")
def log(example: Path) -> Log:
    folder = RunFolder(example)
    return folder.build_log(folder.bus(), writable=False).log


def test_the_runs_of_a_page(page: Page) -> None:
    [run] = page.get("/runs")["runs"]
    assert (run["id"], run["version"], run["state"]) == ("example", 50, "idle")
    assert run["best"] == pytest.approx(0.046875)
    assert run["best_version"] == 0
    assert run["error"] is None


@pytest.mark.parametrize("at", ["3", "27", "end", "2026-11-29T17:14:30"])
def test_a_position_is_the_one_that_observe_has(page: Page, log: Log, at: str) -> None:
    said = page.get(f"{RUN}/state", at=at)
    state = observe(log, position(log, at))
    assert said["digest"] == state.digest
    wanted: dict[str, Any] = json.loads(TypeAdapter(Any).dump_json(shown.as_json(state)))
    assert said["position"] == wanted["position"]
    assert {name: said["status"][name] for name in ("version", "curve", "counts")} == {
        name: wanted[name] for name in ("version", "curve", "counts")
    }


def test_nothing_is_shown_that_was_said_after_a_position(page: Page) -> None:
    at = page.get(f"{RUN}/resolve", at="12")["text"]
    state = page.get(f"{RUN}/state", at=at)
    assert max(page.get(f"{RUN}/series", at=at)["version"]) == 12
    assert page.get(f"{RUN}/versions", at=at)["versions"][0]["version"] == 12
    assert page.get(f"{RUN}/tasks", at=at)["total"] == state["status"]["counts"]["tasks"]
    waiting = state["open"].get("trainer", {}).get("judgments", 0)
    judged = page.get(f"{RUN}/tasks", at=at, state="judged")["total"]
    assert judged == waiting + state["status"]["trained"]
    assert max(one["version"] or 0 for one in page.get(f"{RUN}/timeline", at=at)["events"]) == 12
    page.get(f"{RUN}/versions/13", 404, at=at)
    for topic in page.get(f"{RUN}/topics", at=at)["topics"]:
        assert topic["records"] == state["status"]["counts"].get(topic["topic"], 0)
    newest = page.get(f"{RUN}/tasks")["tasks"][0]["task"]
    assert "not there yet" in page.get(f"{RUN}/tasks/{newest}", 404, at=at)["error"]
    assert "not there yet" in page.get(f"{RUN}/events/one", 404, at=at, id=newest)["error"]
    places = {
        one["place"] for one in page.get(f"{RUN}/events/search", at=at, topic="weights")["events"]
    }
    assert "weights/0/12" in places
    assert "weights/0/13" not in places


def test_the_steps_of_the_slider(page: Page) -> None:
    whole = page.get(f"{RUN}/resolve")
    assert (whole["step"], whole["steps"], whole["next"], whole["now"]) == (52, 52, None, True)
    for step in (0, 1, 30, 51):
        there = page.get(f"{RUN}/resolve", step=step)
        assert there["step"] == step
        again = page.get(f"{RUN}/resolve", at=there["text"])
        assert (again["step"], again["position"]) == (step, there["position"])


@pytest.mark.parametrize("at", ["99", "yesterday", "tasks/0=9999", "@/etc/passwd", "0" * 32])
def test_a_position_that_is_none(page: Page, at: str) -> None:
    assert page.get(f"{RUN}/state", 400, at=at)["error"].startswith("--at")


def test_the_columns_of_charts(page: Page) -> None:
    said = page.get(f"{RUN}/series")
    assert len(said["version"]) == said["total"] == 51
    assert all(len(column) == 51 for column in said["columns"].values())
    assert said["columns"]["held_out"][8] == pytest.approx(0.015625)
    assert said["columns"]["reward"][50] == pytest.approx(said["columns"]["success"][50])
    assert sum(said["learnability_histogram"]["counts"]) == 1248
    assert said["judges"]["exact"]["verdicts"][50] == 144
    assert said["levels"]["spell_backward/4"]["is_held_out"]
    assert not said["levels"]["spell_backward/3"]["is_held_out"]
    few = page.get(f"{RUN}/series", points=10, columns="reward,steps")
    assert few["downsampled"]
    assert few["version"][0] == 0
    assert few["version"][-1] == 50
    assert set(few["columns"]) == {"reward", "steps"}


def test_a_version_and_what_taught_it(page: Page) -> None:
    said = page.get(f"{RUN}/versions/12")
    assert (said["parent"], said["children"], said["path_length"]) == (11, [13], 13)
    assert said["consumed"]["judgments"] == 24
    first = page.get(f"{RUN}/versions/12/judgments", limit=20)
    rest = page.get(f"{RUN}/versions/12/judgments", limit=20, cursor=first["next"])
    judgments = [*first["judgments"], *rest["judgments"]]
    assert len({one["judgment"] for one in judgments}) == first["total"] == 24
    assert rest["next"] is None
    consumed = page.get(f"{RUN}/tasks", consumed=12, limit=100)
    assert {one["task"] for one in consumed["tasks"]} == {one["task"] for one in judgments}
    assert page.get(f"{RUN}/versions/8")["evaluation"]["scores"]


def test_tasks_are_found_by_what_they_are(page: Page) -> None:
    said = page.get(f"{RUN}/tasks", level=3, solved="partly", limit=7, sort="-reward")
    assert said["total"] > 7
    seen = [one["task"] for one in said["tasks"]]
    while said["next"]:
        said = page.get(
            f"{RUN}/tasks", level=3, solved="partly", limit=7, sort="-reward", cursor=said["next"]
        )
        assert all(one["level"] == 3 and 0 < one["correct"] < 6 for one in said["tasks"])
        seen += [one["task"] for one in said["tasks"]]
    assert len(seen) == len(set(seen)) == said["total"]
    assert page.get(f"{RUN}/tasks")["facets"]["state"] == {"judged": 1248}
    [one] = page.get(f"{RUN}/tasks", text=seen[0])["tasks"]
    assert one["task"] == seen[0]
    assert "no whole number" in page.get(f"{RUN}/tasks", 400, level="easy")["error"]
    assert "there is" in page.get(f"{RUN}/tasks", 400, sort="worst")["error"]


def test_one_task_with_all_that_came_of_it(page: Page) -> None:
    task = page.get(f"{RUN}/tasks", consumed=12)["tasks"][0]
    said = page.get(f"{RUN}/tasks/{task['task']}")
    assert said["state"] == "judged"
    assert len(said["samples"]) == task["samples"] == 6
    turn = said["samples"][0]["turns"][0]
    assert turn["pieces_known"]
    assert all(logprob <= 0 for _, logprob in turn["tokens"])
    assert "".join(piece for piece, _ in turn["tokens"]).startswith(turn["text"])
    assert said["samples"][0]["verdict"]["judge"] == "exact"
    assert [one["version"] for one in said["taught"]] == [12]
    assert page.get(f"{RUN}/tasks/{said['judgment']['id']}")["task"] == said["task"]
    happened = page.get(f"{RUN}/tasks/{task['task']}/trace")["happened"]
    assert [one["role"] for one in happened][:4] == ["trainer", "proposer", "solver", "critic"]
    assert [one["from"] for one in happened][1:4] == ["trainer", "proposer", "solver"]


def test_events_as_they_lie(page: Page) -> None:
    last = page.get(f"{RUN}/events", topic="weights")
    assert [one["offset"] for one in last["events"]] == list(range(41, 51))
    assert (last["previous"], last["next"]) == (41, None)
    before = page.get(f"{RUN}/events", topic="weights", offset=41, direction="previous")
    assert [one["offset"] for one in before["events"]] == list(range(31, 41))
    after = page.get(f"{RUN}/events", topic="weights", offset=31, direction="next", limit=2)
    assert [one["offset"] for one in after["events"]] == [31, 32]
    one = page.get(f"{RUN}/events/one", place="weights/0/31")
    assert one["body"]["number"] == 31
    assert one["headers"]["ce_id"] == one["id"]
    assert page.get(f"{RUN}/events/one", id=one["id"])["place"] == "weights/0/31"
    page.get(f"{RUN}/events/one", 404, place="weights/0/51")
    page.get(f"{RUN}/events", 404, topic="nothing")


def test_events_are_searched(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observability.dashboard.routes.search._SECONDS", 60.0)
    key = page.get(f"{RUN}/tasks")["tasks"][0]["task"]
    found = page.get(f"{RUN}/events/search", key=key)
    assert {one["type"] for one in found["events"]} == {"task", "attempt", "judgment"}
    assert found["done"]
    header = page.get(f"{RUN}/events/search", header="ce_type:evolvent.evaluation")
    assert len(header["events"]) == 8
    newest = page.get(f"{RUN}/events/search", limit=60)
    older = page.get(f"{RUN}/events/search", limit=60, cursor=newest["next"])
    both = [*newest["events"], *older["events"]]
    assert [one["time"] for one in both] == sorted((one["time"] for one in both), reverse=True)
    assert len({one["place"] for one in both}) == 120 and len({one["topic"] for one in both}) > 2
    some = page.get(f"{RUN}/events/search", topic="weights", limit=50)
    more = page.get(f"{RUN}/events/search", topic="weights", limit=50, cursor=some["next"])
    assert (len(some["events"]), len(more["events"])) == (50, 1)
    early = page.get(f"{RUN}/events/search", topic="weights", until="2026-11-29T17:10")
    assert [one["offset"] for one in early["events"]] == [0]


def test_who_talks_to_whom(page: Page) -> None:
    said = page.get(f"{RUN}/agents")
    edges = {(one["from"], one["to"]): one["count"] for one in said["edges"]}
    assert edges["proposer", "solver"] == edges["solver", "critic"] == 1248
    assert edges["trainer", "proposer"] == 51
    solver = next(one for one in said["roles"] if one["role"] == "solver")
    assert solver["latency"]["median"] > 0


def test_two_versions_side_by_side(page: Page) -> None:
    said = page.get("/compare", a="example@3", b="example@48")
    assert (said["a"]["version"], said["b"]["version"]) == (3, 48)
    assert said["series"]["b"]["version"][-1] == 48
    assert {one["suite"] for one in said["scores"]} == {"spell_backward"}
    assert said["settings"] == []
    assert not said["answers"]["available"]
    for problem in said["answers"]["problems"]:
        assert problem["a"]["version"] <= 3
    assert "name two" in page.get("/compare", 400, a="example")["error"]


def test_the_document_of_the_api_has_every_route(page: Page) -> None:
    said = page.get("/openapi.json")
    paths = {(path, method.upper()) for path, of in said["paths"].items() for method in of}
    assert {("/api/v1" + route.path, route.method) for route in ROUTES} <= paths
    assert said["paths"]["/api/v1/runs/{run}/state"]["get"]["parameters"][0]["in"] == "path"


def test_answers_are_what_the_document_says(page: Page) -> None:
    task = page.get(f"{RUN}/tasks")["tasks"][0]["task"]
    named = {"run": "example", "version": "8", "task": task}
    asked = {"/api/v1/runs/{run}/events/one": {"id": task}}
    for path, said in OF.items():
        for at in ("8", "end") if "task}" not in path and "one" not in path else ("end",):
            params = {"at": at} | asked.get(path, {})
            answer = page.client.get(path.format(**named), params=params)
            said.model_validate_json(answer.text)
    assert set(OF) <= set(page.get("/openapi.json")["paths"])


def test_what_there_is_not(page: Page) -> None:
    assert "there is example" in page.get("/runs/other/state", 404)["error"]
    assert "there is no GET" in page.get("/nothing", 404)["error"]
    assert page.client.get("/runs/example/tasks").headers["content-type"].startswith("text/html")


def test_prometheus_reads_the_same_runs(page: Page) -> None:
    answer = page.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'evolvent_weights_version{run="example-8c1bcb13"' in answer.text
    assert page.client.get("/metrics").text.count("# TYPE") == answer.text.count("# TYPE")


@pytest.mark.parametrize("path", ["versions", "tasks", "dead", "versions/1/judgments"])
@pytest.mark.parametrize("cursor", ["[NaN]", "[1e999]", "[9999999999999999999999]", "[" * 5000])
def test_a_cursor_that_is_none_is_refused(page: Page, path: str, cursor: str) -> None:
    assert page.get(f"{RUN}/{path}", 400, cursor=cursor)["error"].startswith("cursor: ")


def test_a_cursor_of_another_search_is_refused(page: Page) -> None:
    for cursor in ('["x"]', '["tasks/0","y"]', '["nothing/0",3]'):
        said = page.get(f"{RUN}/events/search", 400, cursor=cursor)
        assert said["error"].startswith("cursor: ")
