"""The numbers of a run are those of its log, under registered names alone."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.engines.host.host import Host
from agents.engines.host.metrics import page
from agents.engines.scripted import ScriptedEngine
from bus.events import Event, Weights
from bus.memory.bus import MemoryBus
from observability.metrics.meter import Meter
from observability.metrics.page import Listening, Page
from observability.metrics.points import Histogram, Point, point
from observability.metrics.registry import METRICS, SERVERS
from observability.metrics.served import Served
from observability.progress.disk import Disk
from observability.progress.progress import Progress
from tests.observability.story import BEGIN, RUN, Story, dead_letter, start

STORY = Story(versions=8, evaluate_every=3)
ROOT = Path(__file__).parents[3]


def met(events: Sequence[Event], *, waits: bool = False) -> Meter:
    """A meter that has looked at a log of these, which wait for the solver."""
    bus = MemoryBus()

    async def say() -> None:
        async with bus.subscribe(["tasks"], "solver", "solver"):
            await bus.publish(events)

    asyncio.run(say() if waits else bus.publish(events))
    meter = Meter()
    progress = Progress(bus, ["solver"], meter.hear)
    progress.refresh()
    meter.look(bus, progress)
    return meter


def values(points: Iterable[Point]) -> dict[str, float]:
    return {
        f"{one.metric.prometheus}{sorted(one.labels.values())}": one.value
        for one in points
        if not isinstance(one.value, Histogram)
    }


def shown(page: bytes) -> dict[str, float]:
    """By name and labels but for `run`, which is the same everywhere."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("run") == RUN
            found[f"{sample.name}{sorted(labels.values())}"] = sample.value
    return found


def test_a_page_says_what_the_log_says() -> None:
    events = [*STORY.events(), dead_letter()]
    page = shown(Page(met(events)).text())
    versions = [event for event in events if isinstance(event, Weights)]
    assert page["evolvent_weights_version['trained']"] == 8
    assert page["evolvent_versions_total[]"] == len(versions)
    right = sum(level.correct for version in versions for level in version.batch)
    assert page["evolvent_samples_total['right']"] == right > 0
    assert page["evolvent_tokens_total[]"] == sum(
        one.metrics.get("tokens", 0.0) for one in versions
    )
    assert page["evolvent_reward[]"] == versions[-1].metrics["reward"]
    assert page["evolvent_tasks_total['admitted']"] == 2 * len(versions)
    accuracy = page["evolvent_evaluation_accuracy_ratio['held_out', 'mean']"]
    low = page["evolvent_evaluation_accuracy_ratio['held_out', 'low']"]
    assert low < accuracy <= page["evolvent_evaluation_accuracy_ratio['held_out', 'high']"]
    assert sum(page[name] for name in page if "dead_letters" in name) == 1


def test_what_is_dropped_is_counted_by_reason_however_old_the_run() -> None:
    def version(number: int, **metrics: float) -> Weights:
        made = next(one for one in STORY.of_version(number) if isinstance(one, Weights))
        changed = {**made.metrics, "chosen": 10.0, **metrics}
        return made.model_copy(update={"trained": 12, "dropped": 5, "metrics": changed})

    said = version(1, dropped_stale=3.0, dropped_refused=1.0, zero_variance=4.0)
    meter = met([next(STORY.of_version(0)), version(0), said])
    found = values(meter.points())
    reasons = ("stale", "refused", "filtered", "other")
    assert [found[f"evolvent_samples_dropped_total['{one}']"] for one in reasons] == [3, 1, 4, 6]
    assert found["evolvent_groups_zero_variance_total[]"] == 4


def test_durations_are_histograms_of_all_versions() -> None:
    made = next(one for one in STORY.of_version(1) if isinstance(one, Weights))
    timed = made.model_copy(update={"metrics": {"seconds_train": 0.07, "seconds_wait": 400.0}})
    page = shown(Page(met([start(), timed])).text())
    name = "evolvent_train_step_duration_seconds"
    assert (page[f"{name}_bucket['0.05']"], page[f"{name}_bucket['0.1']"]) == (0, 1)
    assert page[f"{name}_sum[]"] == 0.07
    wait = "evolvent_train_wait_duration_seconds"
    assert (page[f"{wait}_bucket['300.0']"], page[f"{wait}_bucket['+Inf']"]) == (0, 1)


def test_a_page_is_shown_at_a_port_and_never_waits_for_the_log() -> None:
    meter = met(STORY.events())
    served = Served()
    served.swapped("current", 3, 0.25)
    meter.beside.append(served.points)
    meter.see(Disk(used={"log": 5}, free=7, size=9))
    listening = Listening("127.0.0.1", 0, meter)
    try:
        with urlopen(listening.url, timeout=5) as answer:
            page = shown(answer.read())
    finally:
        listening.close()
    assert page["evolvent_version_served['current']"] == 3
    assert page["evolvent_swap_pause_seconds_count['current']"] == 1
    assert page["evolvent_disk_used_bytes['log']"] == 5


def test_how_long_records_wait_is_said_in_seconds() -> None:
    found = values(met(STORY.events(), waits=True).points())
    assert found["evolvent_consumer_lag['solver', 'tasks']"] == 18
    waited = datetime.now(UTC) - BEGIN
    age = found["evolvent_consumer_lag_time_seconds['solver', 'tasks']"]
    assert age == pytest.approx(waited.total_seconds(), abs=600)


def test_what_is_not_registered_is_no_point() -> None:
    with pytest.raises(KeyError):
        point("evolvent.nonesuch", 1)
    with pytest.raises(ValueError, match="has the labels"):
        point("evolvent.reward", 1, task="a")


def test_names_follow_the_rules_of_prometheus() -> None:
    names = [metric.prometheus for metric in METRICS.values()]
    assert len({*names}) == len(names)
    for metric in METRICS.values():
        assert re.fullmatch(r"evolvent(_[a-z0-9]+)+", metric.prometheus)
        assert (metric.kind == "counter") == metric.prometheus.endswith("_total")
        # A gauge of unit 1 gets this ending from some translations and not from others.
        assert (metric.unit == "1") == metric.prometheus.endswith("_ratio")


def test_what_processes_record_is_registered() -> None:
    recorded = set()
    for package in ("bus", "agents", "trainer", "evolvent"):
        for path in (ROOT / package).rglob("*.py"):
            recorded |= {*re.findall(r'seconds\("(evolvent\.[a-z._]+)"\)', path.read_text())}
    histograms = {name for name, metric in METRICS.items() if metric.kind == "histogram"}
    assert recorded == histograms


def test_a_server_shows_registered_metrics_alone() -> None:
    host = Host(ScriptedEngine(lambda prompt, version, random: ""), "scripted")
    shown_here = {
        sample.name
        for family in text_string_to_metric_families(page(host).decode())
        for sample in family.samples
        if sample.name.startswith("evolvent_")
    }
    assert shown_here - {"evolvent_version_served"} == {one.prometheus for one in SERVERS}
