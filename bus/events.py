"""What is said: the events. Each is an immutable noun that carries the one it answers, so
nobody joins topics. Knows no transport, no model and no domain.

    Weights -> Task -> Attempt -> Judgment -> Weights         Weights -> Curriculum
               Refusal  Lesson                                Weights -> Evaluation

Schema rule (FULL_TRANSITIVE): only optional fields with defaults are ever added; nothing is
renamed, retyped or reused. `tests/bus/golden` holds every version ever written.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bus.packed import PackedLogprobs, PackedTokens

CURRENT: Final = "current"
"""The policy of a run that trains one, and the one that solves where it trains several."""

EventId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


def derive_id(run: str, agent: str, answered: str, index: int = 0) -> str:
    """Id of output `index` of `agent` for the event `answered`: 32 hex digits.

    It never depends on what a model said, so a retry after a crash yields the same id and a
    duplicate is recognised everywhere. Root events pass a name of their own as `answered`.
    """
    text = "\x1f".join((run, agent, answered, str(index)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Part(BaseModel):
    """A piece of an event: immutable, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


class Event(Part):
    """One fact on the log. `agent` is the role instance that said it."""

    topic: ClassVar[str] = ""
    version: ClassVar[int] = 1

    id: EventId
    run: str
    agent: str
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def type(cls) -> str:
        return cls.__name__.lower()

    @property
    def channel(self) -> str:
        """The topic that this event goes to."""
        return self.topic

    @property
    def key(self) -> str:
        """Events of one key keep their order."""
        return self.id

    @property
    def answers(self) -> str | None:
        """Id of the event this one answers, None for a root."""
        return None

    @property
    def correlation(self) -> str:
        """Id of the task (or other root) that this event belongs to."""
        return self.id


TRY = "try"
"""The seat of whoever tries a task again and again, as far as it takes."""

SOLVED_BY_TRY = "solved_by_try_"
"""How metrics begin that say which share of samples was right by which try."""


class Span(Part):
    """Tokens [start, end) of a turn were sampled with weights `version`."""

    version: int
    start: int
    end: int


class Turn(Part):
    """One call of an engine: what the model read, and what was sampled.

    `logprobs[i]` is the natural logarithm of the probability of `tokens[i]` under the
    distribution it was sampled from (the behaviour policy): softmax(logits / `temperature`), of
    which the `top_k` likeliest tokens were left (0: all), and of these the fewest that make up
    `top_p`. At temperature 0 the likeliest token was taken; its log-probability is that at 1. A
    turn without a temperature has its attempt's. `seat` says whose turn it is, where several take
    turns; only what is `trainable` may be learned from; `policy` names the weights that sampled,
    as the recipe calls them. `learned_prompt` is the prompt that the turn is learned after, where
    it is not the one that it was sampled after.
    """

    prompt_tokens: PackedTokens
    tokens: PackedTokens
    logprobs: PackedLogprobs
    text: str
    finish_reason: Literal["stop", "length", "abort"]
    spans: tuple[Span, ...]
    seat: str = ""
    trainable: bool = True
    policy: str = ""
    temperature: float | None = None
    top_p: float = 1.0
    top_k: int = 0
    learned_prompt: PackedTokens | None = None

    @property
    def whole(self) -> bool:
        """Whether any token could have been drawn."""
        return self.top_p >= 1 and self.top_k == 0


class Sample(Part):
    """One answer to a task: one or more turns; the last one's text is the answer."""

    turns: tuple[Turn, ...]

    @property
    def answer(self) -> str:
        return self.turns[-1].text

    @property
    def ended(self) -> bool:
        """Whether the model ended its answer itself."""
        return self.turns[-1].finish_reason == "stop"

    @property
    def trainable(self) -> tuple[Turn, ...]:
        """The turns that may be learned from."""
        return tuple(turn for turn in self.turns if turn.trainable)

    @property
    def oldest_version(self) -> int | None:
        """The oldest that sampled what may be learned from; None where nothing may."""
        spans = (span for turn in self.trainable for span in turn.spans)
        return min((span.version for span in spans), default=None)

    @property
    def hinted(self) -> bool:
        """Whether it was sampled after another prompt than it is learned after: it does not show
        what the model does of itself."""
        return any(turn.learned_prompt is not None for turn in self.turns)

    @property
    def tries(self) -> int:
        """How often the task was tried, where the sampler tries until an answer is right."""
        return sum(turn.seat == TRY for turn in self.turns)

    @property
    def num_tokens(self) -> int:
        return sum(len(turn.tokens) for turn in self.turns)


class Proposal(Part):
    """A completion in the proposer's role. All proposals sampled together form a draw."""

    turn: Turn
    draw: str
    draw_size: int
    index: int


class Task(Event):
    """One problem. `level` is its difficulty, `prompt` what the solver's model reads,
    `question` the same for people; `metadata` is what the domain needs to judge an answer.

    `weights_version` is the version that granted this task: no older one may attempt it.
    `proposal` is the completion that wrote it, when a model did.
    """

    topic: ClassVar[str] = "tasks"
    version: ClassVar[int] = 4

    domain: str
    family: str
    level: int
    prompt: str
    question: str
    answer: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    weights_version: int
    granted_by: EventId
    source: str
    proposal: Proposal | None = None

    @property
    def answers(self) -> str | None:
        return self.granted_by


class Refusal(Event):
    """A proposal that the task gate did not admit, and why."""

    topic: ClassVar[str] = "refusals"
    version: ClassVar[int] = 4

    proposal: Proposal
    reason: str
    weights_version: int
    granted_by: EventId

    @property
    def answers(self) -> str | None:
        return self.granted_by


class Attempt(Event):
    """A group of samples drawn for one task by one solver. With a `memory` it could read the first
    so many lessons of the run, as it is of a version of the weights."""

    topic: ClassVar[str] = "attempts"
    version: ClassVar[int] = 5

    task: Task
    samples: tuple[Sample, ...]
    temperature: float
    memory: int | None = None

    @property
    def key(self) -> str:
        return self.task.id

    @property
    def answers(self) -> str | None:
        return self.task.id

    @property
    def correlation(self) -> str:
        return self.task.id

    @property
    def oldest_version(self) -> int | None:
        """The oldest that sampled what may be learned from; None where nothing may."""
        versions = (sample.oldest_version for sample in self.samples)
        return min((version for version in versions if version is not None), default=None)

    def temperature_of(self, turn: Turn) -> float:
        """What the log-probabilities of one of its turns are divided by."""
        temperature = self.temperature if turn.temperature is None else turn.temperature
        return temperature or 1.0


class Lesson(Event):
    """What a memory keeps of a try that was not right: the text of `turn`, for whoever tries tasks
    that are `about` the same. `sample` is the one of the attempt that it was learned from. It takes
    the place of the earlier lessons `forgets`, which nobody reads from here on."""

    topic: ClassVar[str] = "lessons"

    task: EventId
    attempt: EventId
    sample: int
    about: str
    turn: Turn
    forgets: tuple[EventId, ...] = ()

    @property
    def answers(self) -> str | None:
        return self.task

    @property
    def correlation(self) -> str:
        return self.task

    @property
    def text(self) -> str:
        return self.turn.text

    @property
    def weights_version(self) -> int | None:
        """The oldest that said it."""
        return min((span.version for span in self.turn.spans), default=None)


FULL_REWARD = 1.0
"""What is worth this much is right."""


def is_right(worth: float) -> bool:
    """The one rule of what counts as right, for a reward as for a verifier's score."""
    return worth >= FULL_REWARD


class Call(Part):
    """What a model elsewhere was asked, what it said, and what it is called there."""

    model: str
    asked: str
    answer: str


class Verdict(Part):
    """What a critic says of one sample: named scores, the scalar reward, why, and which judge said
    so. A judge that cannot tell says so (`known`). `turn` is what a model said that judged, `call`
    what one elsewhere did, whose versions and tokens nobody knows here;
    `combined` are the verdicts of several judges that this one was made of; `seats` are rewards of
    single seats, where not all who took turns have the same."""

    scores: dict[str, float]
    reward: float
    reason: str
    provenance: str
    known: bool = True
    turn: Turn | None = None
    combined: tuple["Verdict", ...] = ()
    seats: dict[str, float] = Field(default_factory=dict)
    call: Call | None = None

    @property
    def right(self) -> bool:
        return is_right(self.reward)

    def reward_of(self, turn: Turn) -> float:
        """What a turn of the sample is worth: its seat's own reward, or that of the whole."""
        return self.seats.get(turn.seat, self.reward)


class Judgment(Event):
    """The attempt, and one verdict per sample in the same order."""

    topic: ClassVar[str] = "judgments"
    version: ClassVar[int] = 7

    attempt: Attempt
    verdicts: tuple[Verdict, ...]
    critic: str
    critic_version: int = 1

    @property
    def key(self) -> str:
        return self.attempt.task.id

    @property
    def answers(self) -> str | None:
        return self.attempt.id

    @property
    def correlation(self) -> str:
        return self.attempt.task.id

    @property
    def unaided(self) -> tuple[Verdict, ...]:
        """The verdicts of the samples that were drawn without a hint: they alone are counted."""
        judged = zip(self.attempt.samples, self.verdicts, strict=False)
        return tuple(verdict for sample, verdict in judged if not sample.hinted)

    @property
    def success(self) -> float:
        """Share of the samples without a hint that are right."""
        return sum(verdict.right for verdict in self.unaided) / (len(self.unaided) or 1)


class LevelCount(Part):
    """What a batch held of one family and level."""

    family: str
    level: int
    tasks: int
    samples: int
    correct: int


class Weights(Event):
    """A new version, published after its checkpoint is durable. The event is the pointer.

    A version is a state of the run. Where a run trains several policies it moves one, `policy`, and
    its checkpoint has the weights of that; of every other policy the newest version before it that
    moved it counts, and version 0 while there is none.

    `location` is a directory relative to the run; `files` maps its files to their sha256.
    `positions` are the ranges of the log it consumed; `consumed` counts, over the whole run,
    the tasks that need no more work (trained on, dropped or dead), from which the proposer's
    credit follows. The trained and dropped ids themselves stand in the manifest.
    """

    topic: ClassVar[str] = "weights"
    version: ClassVar[int] = 2

    number: int
    parent: int | None
    parent_id: EventId | None
    location: str
    files: dict[str, str]
    format: Literal["full", "lora"] = "full"
    step: int
    epoch: int
    positions: dict[str, tuple[tuple[int, int], ...]] = Field(default_factory=dict)
    trained: int = 0
    dropped: int = 0
    consumed: int = 0
    batch: tuple[LevelCount, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)
    seed: int = 0
    policy: str = CURRENT

    @property
    def key(self) -> str:
        return self.run

    @property
    def answers(self) -> str | None:
        return self.parent_id


class Curriculum(Event):
    """The proposer's state after a version: the fold of all batches so far.

    `success` maps "family/level" to the estimated success rate; `top` maps a family to its
    frontier (the hardest level asked). `proposed` counts tasks over the whole run. `objective` is
    the `Control` event whose settings the source asks by, None for the recipe's own.
    """

    topic: ClassVar[str] = "curricula"
    version: ClassVar[int] = 2

    weights: EventId
    weights_version: int
    source: str
    success: dict[str, float]
    top: dict[str, int]
    proposed: int
    refused: int = 0
    objective: EventId | None = None

    @property
    def key(self) -> str:
        return self.run

    @property
    def answers(self) -> str | None:
        return self.weights


class SuiteScore(Part):
    """Greedy exact match on one held-out suite: `correct` of `total`, 95 % Wilson interval."""

    suite: str
    level: int
    total: int
    correct: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        return self.correct / self.total


class Evaluation(Event):
    """Held-out scores of one version. `seen` is the mean of the levels up to `warmup_end`, the last
    one of the warm-up, `held_out` of those above; `quantities` is what else its domain measures."""

    topic: ClassVar[str] = "evaluations"
    version: ClassVar[int] = 3

    weights: EventId
    weights_version: int
    scores: tuple[SuiteScore, ...]
    held_out: float
    seen: float
    seconds: float
    warmup_end: int | None = None
    quantities: dict[str, float] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        return str(self.weights_version)

    @property
    def answers(self) -> str | None:
        return self.weights


class Promotion(Event):
    """A gate's decision on a version."""

    topic: ClassVar[str] = "promotions"

    weights: EventId
    weights_version: int
    decision: Literal["promoted", "rejected", "rolled_back"]
    reasons: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return str(self.weights_version)

    @property
    def answers(self) -> str | None:
        return self.weights


class Watermark(Event):
    """How far an archive has come: of every partition ("topic/partition") all that lies below
    `ends` is in its files, whose `digest` is the one of its manifest. `location` is its folder,
    relative to the run where it lies within, or a URL."""

    topic: ClassVar[str] = "watermarks"

    location: str
    ends: dict[str, int]
    digest: str

    @property
    def key(self) -> str:
        return self.run


class Plugin(Part):
    """Code from outside of evolvent that a run uses: what it is called, the sha256 of its file, and
    which parts of the recipe come from it, as kind/type."""

    name: str
    sha256: str
    parts: tuple[str, ...]


class Parent(Part):
    """What a fork was made of: the run, where it had its log, the newest version there (None: it
    had none), and of every partition ("topic/partition") how much of it is the parent's."""

    run: str
    place: str
    version: int | None
    ends: dict[str, int]


class Control(Event):
    """What the operator says to the roles: a run starts (with its recipe, its seed and the plug-ins
    of its parts), or one version is to be evaluated, or a role pauses, resumes or stops, or the
    source asks by other settings from the next version on. What a guard says bears its name and its
    reason. The first that a fork says itself is a start that names its `parent`."""

    topic: ClassVar[str] = "control"
    version: ClassVar[int] = 4

    command: Literal["start", "evaluate", "pause", "resume", "stop", "objective"]
    role: str = "all"
    weights_version: int | None = None
    seed: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()
    guard: str = ""
    reason: str = ""
    parent: Parent | None = None

    @property
    def key(self) -> str:
        return self.role

    @property
    def finding(self) -> tuple[str, str]:
        """Which guard says it, and why; "" where it is nobody's finding. Version 2 has both in the
        `settings` of a pause or a stop."""
        said = self.settings if self.command in ("pause", "stop") else {}
        return (
            self.guard or str(said.get("guard", "")),
            self.reason or str(said.get("reason", "")),
        )


class DeadLetter(Event):
    """A record that could not be read, or that a role rejected: its bytes and the reason.

    Goes to `<topic>.dead` in the same commit that completes the record.
    """

    origin_topic: str
    origin_partition: int
    origin_offset: int
    group: str
    reason: str
    value: str
    headers: dict[str, str]

    @property
    def channel(self) -> str:
        return f"{self.origin_topic}.dead"


EVENTS: dict[str, type[Event]] = {
    event.type(): event
    for event in (
        Task,
        Refusal,
        Attempt,
        Lesson,
        Judgment,
        Weights,
        Curriculum,
        Evaluation,
        Promotion,
        Watermark,
        Control,
        DeadLetter,
    )
}
"""Every event by its type name, the last part of `ce_type`."""
