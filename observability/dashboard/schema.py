"""What routes answer, as OpenAPI says it. Knows no run; a test compares with real answers."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from observability.dashboard.routing import API

Time = str | None
Count = dict[str, int]


class Said(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(extra="forbid")


class Page(Said):
    """One page of a list: `next` is the `cursor` of the one after, null at the end."""

    next: str | None


class Index(Said):
    """How far the index of tasks and versions has come."""

    done: int
    events: int
    ready: bool


class Run(Said):
    """A run. Where its log cannot be read `error` says why, and what stands on it is missing."""

    id: str
    run: str
    path: str
    bus: str
    state: Literal["running", "paused", "stopped", "idle", "unreachable"]
    error: str | None
    index: Index
    bytes: int | None
    updated_at: Time
    tags: list[str]
    note: str
    recipe: str | None = None
    seed: int | None = None
    version: int | None = None
    versions: int = 0
    events: int = 0
    held_out: float | None = None
    held_out_interval: list[float] | None = None
    seen: float | None = None
    started_at: Time = None
    guard: dict[str, Any] | None = None
    control: dict[str, Any] | None = None
    best: float | None = None
    best_version: int | None = None
    parent: dict[str, Any] | None = None


class Runs(Said):
    runs: list[Run]


class Place(Said):
    """A position; `text` is what `at` takes, `step` its place on the slider."""

    at: str
    now: bool
    position: Count
    text: str
    events: int
    step: int
    steps: int
    previous: int | None
    next: int | None
    version: int | None
    time: Time


class Role(Said):
    """How a role is. While travelling nobody knows who lives."""

    role: str
    alive: bool | None
    members: list[str]
    paused: bool
    stopped: bool
    backlog: int
    lag_seconds: float | None
    by_topic: Count
    done: int | None
    last_error: dict[str, Any] | None
    restarts: int
    dead_letters: int


class State(Place):
    """The state of every role at a position: `status` is what `evolvent replay observe --json`
    says, `digest` its digest."""

    digest: str
    status: dict[str, Any]
    open: dict[str, Count]
    roles: list[Role]


class Version(Said):
    """A version in a list."""

    version: int
    id: str
    parent: int | None
    policy: str
    time: Time
    step: int
    seconds: float | None
    format: str
    trained: int
    dropped: int
    samples: float | None
    tokens: float | None
    reward: float | None
    success: float | None
    staleness_mean: float | None
    held_out: float | None
    held_out_interval: list[float] | None
    seen: float | None
    decision: str | None


class Versions(Page):
    versions: list[Version]
    total: int


class OneVersion(Version):
    """A version with all that stands behind it."""

    agent: str
    epoch: int
    location: str
    seed: int
    files: dict[str, str]
    metrics: dict[str, float]
    batch: list[dict[str, Any]]
    path: list[int]
    path_length: int
    children: list[int]
    siblings: list[int]
    evaluation: dict[str, Any] | None
    decisions: list[dict[str, Any]]
    consumed: dict[str, Any]
    granted: Count
    learned: dict[str, Any] | None
    place: str


class Task(Said):
    """A task in a list."""

    task: str
    time: Time
    place: str
    agent: str
    source: str
    family: str
    level: int
    version: int
    question: str
    answer: str
    proposed_by: int | None
    state: Literal["open", "attempted", "judged", "dead"]
    samples: int | None
    counted: int | None
    correct: int | None
    reward: float | None
    reward_low: float | None
    reward_high: float | None
    critic: str | None
    sampled_by: list[int]
    consumed_by: int | None


class Tasks(Page):
    tasks: list[Task]
    total: int
    index: Index
    facets: dict[str, Count]


class Turn(Said):
    """A call of a model: `tokens` are pairs of text and log-probability; where `pieces_known` is
    false the texts are token ids in brackets."""

    text: str
    seat: str
    policy: str
    trainable: bool
    finish_reason: str
    temperature: float | None
    versions: list[int]
    prompt: str | None
    tokens: list[tuple[str, float | None]]
    pieces_known: bool
    num_prompt_tokens: int
    logprob: float | None


class Verdict(Said):
    """What a judge says of a sample; `words` are those of a model that judged."""

    reward: float | None
    right: bool
    known: bool
    reason: str
    judge: str
    scores: dict[str, float | None]
    seats: dict[str, float | None]
    words: str | None
    turn: Turn | None
    call: dict[str, Any] | None
    combined: list["Verdict"]


class Sample(Said):
    answer: str
    ended: bool
    hinted: bool
    tokens: int
    versions: list[int]
    turns: list[Turn]
    verdict: Verdict | None


class OneTask(Said):
    """A task, what was tried and judged, what it taught."""

    task: dict[str, Any]
    state: Literal["open", "attempted", "judged", "dead"]
    attempt: dict[str, Any] | None
    judgment: dict[str, Any] | None
    samples: list[Sample]
    same: list[dict[str, Any]]
    lessons: list[dict[str, Any]]
    letters: list[dict[str, Any]]
    taught: list[dict[str, Any]]


class Happened(Said):
    """One event of a trace: said by `role`, in answer to `from`, read by `to`."""

    time: str
    agent: str
    role: str
    type: str
    id: str
    place: str
    versions: list[int]
    says: str
    topic: str
    cause: str | None = Field(alias="from")
    to: list[str]


class Trace(Said):
    happened: list[Happened]


class Event(Said):
    """An event in a list; `says` is null in the stream."""

    topic: str
    partition: int
    offset: int
    place: str
    id: str
    type: str
    time: str | None
    key: str
    agent: str
    bytes: int
    version: str | None
    cause: str | None
    task: str | None
    says: str | None


class Events(Said):
    """`previous` and `next` are offsets to ask with, in that direction."""

    events: list[Event]
    topic: str
    partition: int
    start: int
    end: int
    previous: int | None
    next: int | None


class Found(Page):
    """What a search has found so far, of `read` records; `done` when all were read."""

    events: list[Event]
    read: int
    done: bool


class OneEvent(Event):
    """An event with its headers; `text` where its body is no JSON, `unreadable` says why."""

    headers: dict[str, str]
    body: Any
    text: str | None
    unreadable: str | None


class Happening(Said):
    """Something that happened to a version."""

    type: str
    version: int | None
    time: Time
    step: int | None
    label: str
    id: str | None
    agent: str | None
    detail: dict[str, Any]


class Timeline(Said):
    events: list[Happening]
    downsampled: bool


OF: dict[str, type[Said]] = {
    f"{API}/runs": Runs,
    f"{API}/runs/{{run}}/resolve": Place,
    f"{API}/runs/{{run}}/state": State,
    f"{API}/runs/{{run}}/timeline": Timeline,
    f"{API}/runs/{{run}}/versions": Versions,
    f"{API}/runs/{{run}}/versions/{{version}}": OneVersion,
    f"{API}/runs/{{run}}/tasks": Tasks,
    f"{API}/runs/{{run}}/tasks/{{task}}": OneTask,
    f"{API}/runs/{{run}}/tasks/{{task}}/trace": Trace,
    f"{API}/runs/{{run}}/events": Events,
    f"{API}/runs/{{run}}/events/search": Found,
    f"{API}/runs/{{run}}/events/one": OneEvent,
}
"""What routes answer, by their addresses; of others the document says that it is an object."""
