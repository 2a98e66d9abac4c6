"""What a collector sees of a system that evolves: every span by name, kind, parent, links."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bus.events import Event
from bus.tracing.context import root, sender
from harness.collector import Collector, attributes
from observability.telemetry.sampler import is_kept
from tests.bus.solving import answer, task
from tests.evolvent.run.test_loop import RUN
from tests.observability.telemetry.processes import PATIENT, tasks_kept, watched
from tests.observability.telemetry.small import NUM_JUDGMENTS, NUM_TASKS
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest

INTERNAL, CLIENT, PRODUCER, CONSUMER = 1, 3, 4, 5
OK, ERROR = 0, 2
SHARE = 0.5
OF_A_TASK = {
    "invoke_workflow evolve_task": (INTERNAL, ""),
    "invoke_agent proposer": (INTERNAL, "invoke_workflow evolve_task"),
    "send tasks": (PRODUCER, "invoke_agent proposer"),
    "process tasks": (CONSUMER, "send tasks"),
    "invoke_agent solver": (INTERNAL, "process tasks"),
    "chat model": (CLIENT, "invoke_agent solver"),
    "send attempts": (PRODUCER, "process tasks"),
    "process attempts": (CONSUMER, "send attempts"),
    "invoke_agent critic": (INTERNAL, "process attempts"),
    "send judgments": (PRODUCER, "process attempts"),
}
"""Of every task that is kept: the kind of each span, and its parent."""


@dataclass
class Seen:
    """A run, and what a collector has of it."""

    collector: Collector
    folder: Path

    def on_log(self, topic: str) -> list[Event]:

        from bus.sqlite.bus import SqliteBus
        from bus.topics import TOPICS

        bus = SqliteBus(self.folder / "log.sqlite", read_only=True)
        parts = range(TOPICS[topic].partitions)
        return [record.event() for part in parts for record in bus.log.read(topic, part)]

    def named(self, name: str) -> list[Any]:
        return [span for span in self.collector.spans if span.name == name]

    def trace(self, trace_id: str) -> list[Any]:
        return [one for one in self.collector.spans if one.trace_id.hex() == trace_id]


def links(span: Any) -> set[tuple[int, int]]:
    return {
        (int.from_bytes(link.trace_id, "big"), int.from_bytes(link.span_id, "big"))
        for link in span.links
    }


def place(context: Any) -> tuple[int, int]:
    return context.trace_id, context.span_id


def place_of(span: Any) -> tuple[int, int]:
    return int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("traced")
    with Collector().collecting() as collector:
        said = watched(tasks_kept(collector.environment | PATIENT, SHARE), "traced", str(folder))
        assert said.split()[1] == "0"
        yield Seen(collector, folder)


@pytest.mark.slow
def test_a_task_that_is_kept_is_one_whole_trace_and_the_others_are_none(seen: Seen) -> None:
    judged = {event.correlation for event in seen.on_log("judgments")}
    kept = {task for task in judged if is_kept(int(task, 16), SHARE)}
    assert kept and kept != judged
    traced = {span.trace_id.hex() for span in seen.named("process tasks")}
    assert kept <= traced and not traced & (judged - kept)
    for trace_id in kept:
        spans = {span.name: span for span in seen.trace(trace_id)}
        assert len(seen.trace(trace_id)) == len(OF_A_TASK) and spans.keys() == OF_A_TASK.keys()
        for name, (kind, parent) in OF_A_TASK.items():
            assert spans[name].kind == kind, name
            assert spans[name].parent_span_id == (spans[parent].span_id if parent else b""), name
            assert spans[name].status.code == OK
        for topic in ("tasks", "attempts"):
            sent = place_of(spans[f"send {topic}"])
            assert links(spans[f"process {topic}"]) == {sent}
        assert place_of(spans["invoke_workflow evolve_task"]) == place(root(trace_id))


@pytest.mark.slow
def test_spans_say_what_the_conventions_name(seen: Seen) -> None:
    [judgment, *_] = [
        event for event in seen.on_log("judgments") if is_kept(int(event.correlation, 16), SHARE)
    ]
    attempt: Any = judgment.attempt  # type: ignore[attr-defined]
    spans = {span.name: attributes(span) for span in seen.trace(judgment.correlation)}
    turns = [turn for sample in attempt.samples for turn in sample.turns]
    versions = [one.version for turn in turns for one in turn.spans]
    assert spans["chat model"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "evolvent",
        "gen_ai.request.model": "model",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": spans["chat model"]["gen_ai.request.max_tokens"],
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.response.model": f"model@v{max(versions)}",
        "gen_ai.response.finish_reasons": [turn.finish_reason for turn in turns],
        "gen_ai.usage.input_tokens": len(turns[0].prompt_tokens),
        "gen_ai.usage.output_tokens": sum(len(turn.tokens) for turn in turns),
        "evolvent.policy": "current",
        "evolvent.weights.version": max(versions),
        "evolvent.weights.oldest_version": min(versions),
    }
    solver = spans["invoke_agent solver"]
    assert solver["gen_ai.operation.name"] == "invoke_agent"
    assert solver["gen_ai.agent.name"] == "solver"
    assert solver["gen_ai.conversation.id"] == judgment.correlation
    assert spans["invoke_agent critic"]["openinference.span.kind"] == "EVALUATOR"
    process = spans["process tasks"]
    assert process["messaging.operation.type"] == "process"
    assert process["messaging.message.id"] == judgment.correlation
    assert process["messaging.consumer.group.name"] == "solver"
    where = f"tasks/{process['messaging.destination.partition.id']}/"
    assert process["evolvent.event.ref"].startswith(where)
    assert spans["send judgments"]["messaging.message.id"] == judgment.id
    assert not [name for said in spans.values() for name in said if "messages" in name]


@pytest.mark.slow
def test_a_version_is_linked_to_all_it_was_made_of_and_followed_into_its_engine(seen: Seen) -> None:
    judged = {event.id: event for event in seen.on_log("judgments")}
    steps = {
        attributes(span)["evolvent.weights.version"]: span for span in seen.named("train_step")
    }
    published = {
        attributes(span)["evolvent.weights.version"]: span for span in seen.named("publish weights")
    }
    manifests = [read_manifest(folder) for folder in checkpoint_folders(seen.folder)]
    assert len(manifests) > 7 and steps.keys() == published.keys() - {0}
    for manifest in manifests:
        publication = published[manifest.version]
        assert publication.kind == PRODUCER and publication.parent_span_id == b""
        assert place_of(publication) == place(sender(manifest.weights.id, manifest.weights.id))
        if manifest.version == 0:
            assert not publication.links
            continue
        step = steps[manifest.version]
        assert step.parent_span_id == b"" and links(publication) == {place_of(step)}
        consumed = [judged[one.id] for one in manifest.trained]
        assert links(step) == {place(sender(one.correlation, one.id)) for one in consumed}
        assert attributes(step)["evolvent.batch.trained"] == len(consumed)
        assert attributes(step)["evolvent.weights.base_version"] == manifest.version - 1
    swaps = seen.named("swap weights")
    assert {attributes(span)["evolvent.weights.version"] for span in swaps} <= published.keys()
    for span in swaps:
        of = published[attributes(span)["evolvent.weights.version"]]
        assert span.parent_span_id == b"" and links(span) == {place_of(of)}
        assert attributes(span)["evolvent.swap.pause_ms"] >= 0
    assert {span.trace_id for span in swaps}.isdisjoint(
        {one.trace_id for one in published.values()}
    )


@pytest.mark.slow
def test_every_verdict_is_an_event_in_the_span_that_judged(seen: Seen) -> None:
    told = Counter[bytes]()
    critics = {span.span_id for span in seen.named("invoke_agent critic")}
    for sent in seen.collector.sent_records:
        if sent.item.event_name == "gen_ai.evaluation.result":
            said = attributes(sent.item)
            assert said["gen_ai.evaluation.name"] == "exact"
            label = "right" if said["gen_ai.evaluation.score.value"] >= 1 else "wrong"
            assert said["gen_ai.evaluation.score.label"] == label
            assert sent.item.span_id in critics
            told[sent.item.span_id] += 1
    assert set(told.values()) == {2} and len(told) == len(critics)


@pytest.mark.slow
def test_whoever_sends_says_who_it_is_and_log_lines_come_along(seen: Seen) -> None:
    for sent in (*seen.collector.sent_spans, *seen.collector.sent_records):
        assert sent.resource["service.name"] == "loop"
        assert sent.resource["service.namespace"] == "evolvent"
        assert sent.resource["evolvent.run.id"] == "loop"
        assert sent.resource["service.instance.id"]
        assert "evolvent.replay.id" not in sent.resource
    lines = [sent.item.body.string_value for sent in seen.collector.sent_records]
    assert any(line.startswith("version 3: learned from 4 judgments") for line in lines)


def test_a_step_keeps_all_its_links() -> None:
    with Collector().collecting() as collector:
        watched(collector.environment, "small", "step")
    [span] = collector.spans
    assert len(span.links) == len(links(span)) == NUM_JUDGMENTS
    assert span.dropped_links_count == 0
    assert attributes(span)["evolvent.metric.loss"] == 0.5


def test_a_replay_is_marked_and_linked_to_what_it_asks_again_and_never_a_part_of_it() -> None:
    with Collector().collecting() as collector:
        watched(tasks_kept(collector.environment | PATIENT, SHARE), "small", "replays")
    attempts = [answer(task(index)) for index in range(NUM_TASKS)]
    kept = [one for one in attempts if is_kept(int(one.correlation, 16), SHARE)]
    assert 0 < len(kept) < NUM_TASKS
    linked = set().union(*(links(span) for span in collector.spans))
    assert linked == {place(sender(one.correlation, one.id)) for one in kept}
    assert {sent.resource["evolvent.replay.id"] for sent in collector.sent_spans} == {"again"}
    originals = {one.correlation for one in attempts}
    for span in collector.spans:
        assert span.name == "rejudge" and span.parent_span_id == b""
        assert span.trace_id.hex() not in originals


def test_what_is_rejected_or_not_sent_is_an_error() -> None:
    with Collector().collecting() as collector:
        watched(tasks_kept(collector.environment | PATIENT, 1.0), "small", "rejects")
        failed = [span for span in collector.spans if span.status.code == ERROR]
        assert Counter(span.name for span in failed) == {
            "process tasks": 1,
            "invoke_agent solver": 1,
            "invoke_workflow evolve_task": 1,
        }
        [process] = [span for span in failed if span.kind == CONSUMER]
        assert attributes(process)["error.type"] == "Rejected"
        assert process.status.message == "this one cannot be answered"
        [letter] = [span for span in collector.spans if span.name == "send tasks.dead"]
        assert links(letter) == {place_of(process)} and letter.status.code == OK
        collector.sent_spans.clear()
        watched(tasks_kept(collector.environment | PATIENT, 1.0), "small", "fails")
        sends = [span for span in collector.spans if span.kind == PRODUCER]
        assert sends and {span.status.code for span in sends} == {ERROR}
        assert {attributes(span)["error.type"] for span in sends} == {"BusError"}


@pytest.mark.parametrize(
    "does",
    [
        "hangs",
        pytest.param("refuses", marks=pytest.mark.long),
        pytest.param("away", marks=pytest.mark.long),
    ],
)
def test_a_collector_that_takes_nothing_costs_what_is_counted(does: Any) -> None:
    with Collector("takes" if does == "away" else does).collecting() as collector:
        environment = tasks_kept(collector.environment, 1.0)
        if does != "away":
            took, lost = watched(environment, "small", "answers").split()
    if does == "away":
        took, lost = watched(environment, "small", "answers").split()
    # Each of process, invoke_agent, send; the log has no line.
    assert int(lost) == 3 * NUM_TASKS
    assert float(took) < 8
    assert not collector.spans


@pytest.mark.slow
def test_a_duration_names_the_trace_that_it_was_measured_in(seen: Seen) -> None:
    durations = {
        metric.name: metric.histogram.data_points
        for resource in seen.collector.figures
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.WhichOneof("data") == "histogram"
    }
    steps = {span.trace_id for span in seen.named("train_step")}
    names = {name for name in durations if name.startswith("evolvent.train.")}
    assert {f"evolvent.train.{one}.duration" for one in ("step", "wait", "checkpoint")} == names
    for name in names:
        [point] = durations[name]
        assert attributes(point) == {"run": RUN} and point.count == len(steps)
        assert point.exemplars and {one.trace_id for one in point.exemplars} <= steps
