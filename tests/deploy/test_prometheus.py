"""A real Prometheus reads what is shown and answers every expression of alerts and dashboards."""

import json
import re
import runpy
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bus.events import Weights
from harness.broker import free_port
from observability.metrics.alerts import ALERTS
from observability.metrics.meter import Meter
from observability.metrics.page import Listening
from observability.metrics.panels import DASHBOARDS
from observability.metrics.points import point
from observability.metrics.registry import METRICS
from observability.metrics.served import Served
from observability.progress.disk import Disk
from tests.deploy.prometheus import Prometheus, program, prometheus
from tests.evolvent.conftest import EVOLVENT, TINY
from tests.observability.metrics.test_metrics import STORY, met

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
SELDOM = ("guard_warned", "samples_in_flight", "swaps_total", "swaps_refused", "train_kl")
"""What a run without guards, servers and a reference does not say."""


def expressions() -> Iterator[str]:
    for _, panels in DASHBOARDS.values():
        for panel in panels:
            yield from panel.shows.values()


def asked(expression: str) -> str:
    """With Grafana's own variables filled in."""
    return expression.replace("$run", ".*").replace("$__rate_interval", "1m")


def check(asking: Prometheus, seldom: Sequence[str] = SELDOM) -> None:
    asking.wait_for('up{job="evolvent"} == 1')
    # A rate takes two scrapes.
    asking.wait_for("count_over_time(evolvent_versions_total[1m]) >= 4")
    for expression in expressions():
        if not any(name in expression for name in seldom):
            assert asking.ask(asked(expression)), expression
    for alert in ALERTS:
        asking.ask(alert.when)
    [group] = asking.get("rules")["groups"]
    assert {rule["name"] for rule in group["rules"]} == {alert.name for alert in ALERTS}
    asking.wait_for('ALERTS{alertname="Watchdog"}')
    [group] = asking.get("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}


def full() -> Meter:
    """All that a run may say."""
    events = [
        event.model_copy(
            update={
                "metrics": {
                    **{"loss": 1.0, "grad_norm": 1.0, "entropy": 0.5, "mismatch_kl": 0.01},
                    **{"learnability": 0.1, "unique_tasks": 1.0, "zero_variance": 3.0},
                    **{"seconds_train": 0.1, "seconds_wait": 0.1, "seconds_checkpoint": 0.1},
                    **event.metrics,
                }
            }
        )
        if isinstance(event, Weights)
        else event
        for event in STORY.events()
    ]
    meter = met(events, waits=True)
    served = Served()
    served.swapped("current", 8, 0.1)
    meter.beside.append(served.points)
    meter.beside.append(
        lambda: [
            point("evolvent.log.up", 1),
            point("evolvent.process.up", 1, agent="trainer"),
            point("evolvent.restarts", 0, agent="trainer"),
        ]
    )
    meter.see(Disk(used={"log": 5}, free=7, size=9))
    return meter


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_answers_every_expression(tmp_path: Path) -> None:
    listening = Listening("127.0.0.1", 0, full())
    try:
        place = listening.url.removeprefix("http://").removesuffix("/metrics")
        with prometheus(tmp_path, RULES, [place]) as asking:
            check(asking)
    finally:
        listening.close()


def test_every_alert_is_there_where_it_has_to_be_and_nowhere_else() -> None:
    cases = DEPLOY / "prometheus" / "rules_test.yml"
    promtool("test", "rules", str(cases))
    named = re.findall(r"alertname: (\w+)", cases.read_text())
    assert {*named} == {alert.name for alert in ALERTS}


def test_what_is_scraped_is_well_formed() -> None:
    promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_expressions_are_made_of_registered_metrics_alone() -> None:
    series = {name for metric in METRICS.values() for name in metric.series}
    used = set()
    for expression in (*expressions(), *(alert.when for alert in ALERTS)):
        names = {*re.findall(r"evolvent_\w+", expression)}
        assert names <= series, expression
        used |= names
    stems = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert stems == {metric.prometheus for metric in METRICS.values()}, "shown nowhere"


def test_what_deploy_holds_is_written_from_the_registry() -> None:
    files = runpy.run_path(str(DEPLOY / "generate.py"))["generated"]()
    for path, text in files.items():
        assert path.read_text(encoding="utf-8") == text, f"python deploy/generate.py: {path}"
    boards = {path.stem for path in files if path.suffix == ".json"}
    assert boards == {*DASHBOARDS} == {p.stem for p in DEPLOY.glob("grafana/dashboards/*.json")}
    for uid in DASHBOARDS:
        board = json.loads((DEPLOY / "grafana" / "dashboards" / f"{uid}.json").read_text())
        assert board["uid"] == uid
        for panel in board["panels"]:
            assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.long
def test_a_run_of_its_own_is_scraped_while_it_goes_on(tmp_path: Path) -> None:
    port = free_port()
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    words = ["--recipe", str(recipe), "--dir", str(tmp_path / "run"), "--budget", "10m"]
    running = subprocess.Popen(
        [EVOLVENT, "run", *words, "--metrics", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        with prometheus(tmp_path, RULES, [f"127.0.0.1:{port}"]) as asking:
            asking.wait_for("evolvent_versions_total >= 3", 200)
            asking.wait_for("evolvent_evaluation_accuracy_ratio", 60)
            asking.wait_for("evolvent_swap_pause_seconds_count > 1", 60)
            check(asking, seldom=(*SELDOM, "mismatch_kl", "loss", "grad_norm", "dropped"))
    finally:
        running.terminate()
        running.wait()
