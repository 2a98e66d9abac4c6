"""One task: what was tried, judged, learned; who did what."""

from dataclasses import asdict
from typing import Any

from bus.events import Attempt, DeadLetter, Event, Judgment, Lesson, Refusal, Task
from bus.log import Log
from bus.topics import DEAD_SUFFIX, TOPICS
from observability.dashboard.asked import iso
from observability.dashboard.index.filling import prompt_number
from observability.dashboard.index.seen import seen
from observability.dashboard.places import Place
from observability.dashboard.routing import AT, Ask, Route
from observability.dashboard.tokens import sample_as_json, turn_as_json
from observability.lineage.course import Course, Said
from observability.lineage.lineage import UnknownEvent
from observability.lineage.taught import taught
from observability.lineage.trace import trace

_SAME = 100


def one(ask: Ask) -> dict[str, Any]:
    event_id, place, run = ask.words.path("task"), ask.place, ask.run
    path, pieces = run.source.path, run.source.pieces

    def look(log: Log) -> dict[str, Any]:
        course = Course(log, event_id)
        if not _is_there(place, course.task):
            raise UnknownEvent(f"the task {event_id} is not there yet at this position")
        task = course.task.event
        attempt = _event(place, course.attempt)
        judgment = _event(place, course.judgment)
        letters = [said for said in course.letters() if _is_there(place, said)]
        verdicts = judgment.verdicts if isinstance(judgment, Judgment) else ()
        samples = attempt.samples if isinstance(attempt, Attempt) else ()
        proposal = task.proposal if isinstance(task, Task | Refusal) else None
        end = place.end("weights")
        learners = [
            learner
            for learner in taught(log, path, event_id, run.watched.chain(log)).learners
            if end is None or _offset(log, learner.id) < end
        ]
        return {
            "task": _signed(course.task, "proposal")
            | {"version": getattr(task, "weights_version", None)}
            | {
                "proposal": proposal
                and turn_as_json(proposal.turn, pieces)
                | {name: getattr(proposal, name) for name in ("draw", "draw_size", "index")}
            },
            "state": _state(attempt, judgment, letters),
            "attempt": attempt and _signed(course.attempt, "task", "samples"),
            "judgment": judgment and _signed(course.judgment, "attempt", "verdicts"),
            "samples": [
                sample_as_json(sample, verdicts[at] if at < len(verdicts) else None, pieces)
                for at, sample in enumerate(samples)
            ],
            "lessons": [_lesson(said.event) for said in course.lessons() if _is_there(place, said)],
            "letters": [_letter(said.event) for said in letters],
            "taught": [asdict(learner) for learner in learners],
            "prompt": task.prompt if isinstance(task, Task) else "",
        }

    found = run.watched.look(look)
    found["same"] = _same(ask, found["task"]["id"], found.pop("prompt"))
    return found


def _is_there(place: Place, said: Said | None) -> bool:
    if said is None:
        return False
    end = place.end(said.record.topic, said.record.partition)
    return end is None or said.record.offset < end


def _event(place: Place, said: Said | None) -> Event | None:
    return said.event if said is not None and _is_there(place, said) else None


def _offset(log: Log, event_id: str) -> int:
    record = log.find(event_id)
    return -1 if record is None else record.offset


def _signed(said: Said | None, *without: str) -> dict[str, Any]:
    """An event without its larger parts, with its time and its place."""
    assert said is not None
    body = said.event.model_dump(mode="json", exclude={*without})
    return body | {"time": body["created_at"], "place": said.place}


def _state(attempt: Event | None, judgment: Event | None, letters: list[Said]) -> str:
    if judgment is not None:
        return "judged"
    if letters:
        return "dead"
    return "open" if attempt is None else "attempted"


def _lesson(event: Event) -> dict[str, Any]:
    assert isinstance(event, Lesson)
    said = {name: getattr(event, name) for name in ("id", "text", "about", "sample")}
    return said | {"version": event.weights_version}


def _letter(event: Event) -> dict[str, Any]:
    assert isinstance(event, DeadLetter)
    return {
        "id": event.id,
        "group": event.group,
        "reason": event.reason,
        "time": event.created_at.isoformat(),
    }


def _same(ask: Ask, task: str, prompt: str) -> list[dict[str, Any]]:
    """The same prompt, asked at other times."""
    table, _ = seen(ask.place)
    names = ("task", "version", "time", "samples", "correct", "reward")
    rows = ask.run.watched.store.rows(
        f"WITH {table} SELECT id, version, time, samples, correct, reward FROM seen "
        "WHERE prompt = ? AND id <> ? ORDER BY n LIMIT ?",
        (prompt_number(prompt), task, _SAME),
    )
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [row | {"time": iso(row["time"])} for row in found]


def traced(ask: Ask) -> dict[str, Any]:
    event_id, place, watched = ask.words.path("task"), ask.place, ask.run.watched
    path = ask.run.source.path
    happened = watched.look(lambda log: trace(log, path, event_id, watched.chain(log)))
    found = []
    for one in happened:
        topic, partition, offset = one.place.rsplit("/", 2)
        end = place.end(topic, int(partition))
        if end is not None and int(offset) >= end:
            continue
        said = asdict(one)
        said["time"] = said.pop("at")
        found.append(said | {"topic": topic, **_arrow(topic, one.agent)})
    return {"happened": sorted(found, key=lambda said: said["time"])}


ROLES = {
    "tasks": "proposer",
    "refusals": "proposer",
    "curricula": "proposer",
    "attempts": "solver",
    "lessons": "solver",
    "judgments": "critic",
    "weights": "trainer",
    "evaluations": "evaluator",
    "promotions": "gate",
    "control": "operator",
}
"""Who speaks on a topic, by the name of the role."""


def readers(topic: str) -> list[str]:
    """Who reads a topic, by the names of the roles."""
    if topic == "weights":
        return ["proposer", "evaluator", "solver"]
    found = TOPICS.get(topic)
    return [found.completed_by] if found is not None and found.completed_by else []


def _arrow(topic: str, agent: str) -> dict[str, Any]:
    """From whose event it answers, by whom, to whom."""
    live = topic.removesuffix(DEAD_SUFFIX)
    role = ROLES.get(topic, agent)
    cause = ROLES.get(TOPICS[live].answers) if live in TOPICS else None
    if topic.endswith(DEAD_SUFFIX):
        role, cause = TOPICS[live].completed_by or agent, ROLES.get(live)
    return {"role": role, "from": cause, "to": readers(topic)}


ROUTES = (
    Route(
        path="/runs/{run}/tasks/{task}",
        about="One task, by its id or that of an event of it: samples, verdicts, what it taught.",
        answer=one,
        params=(AT,),
    ),
    Route(
        path="/runs/{run}/tasks/{task}/trace",
        about="The task through all agents: who did what when.",
        answer=traced,
        params=(AT,),
    ),
)
