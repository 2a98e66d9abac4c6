"""Guards end what has collapsed, say so once, and leave what is healthy alone."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agents.guards.config import AnyGuardConfig
from agents.guards.drift import DriftConfig
from agents.guards.floor import FloorConfig
from agents.guards.guard import GuardConfig, Guards, judgments_of
from agents.guards.majority import MajorityConfig
from agents.guards.measured import measure
from agents.judges.vote import VoteConfig
from bus.control import Controls
from bus.events import Control, Judgment, Weights, derive_id
from bus.memory.bus import MemoryBus
from tests.agents.asking import AT, DOMAIN, RUN, attempt, task, weights
from tests.agents.parts import parts_for

BATCH = 8
HEALTHY = range(6)


def judged(prompt: str, answers: Sequence[str | None], version: int = 0) -> Judgment:
    tried = attempt(task(prompt, version), answers)
    verdicts = asyncio.run(VoteConfig(threshold=0.0).build(parts_for()).judge(tried))
    return Judgment(
        id=derive_id(RUN, "critic", tried.id),
        run=RUN,
        created_at=AT,
        agent="critic",
        attempt=tried,
        verdicts=verdicts,
        critic="vote",
    )


def batch(version: int, *, says: str | None = None, agree: int = 3) -> list[Judgment]:
    """Of one version: tasks whose label is right, or else always `says`; so many of four agree."""
    random = Random(version)
    found = []
    for _ in range(BATCH):
        problem = DOMAIN.make("reverse", 5, random)
        label = problem.answer if says is None else says
        answers = [label] * agree + [label + "1"] * (4 - agree)
        found.append(judged(problem.prompt.removesuffix(">"), answers, version))
    return found


async def log_of(batches: Sequence[Sequence[Judgment]]) -> tuple[MemoryBus, list[Weights]]:
    """A log on which version n + 1 was made of batch n."""
    bus = MemoryBus()
    versions = [weights(0)]
    await bus.publish(versions)
    for number, judgments in enumerate(batches, 1):
        before = bus.log.heads()
        await bus.publish(judgments)
        positions = {
            f"judgments/{partition}": ((before[topic, partition], end),)
            for (topic, partition), end in bus.log.heads().items()
            if topic == "judgments" and end > before[topic, partition]
        }
        versions.append(weights(number).model_copy(update={"positions": positions}))
        await bus.publish(versions[-1:])
    return bus, versions


def said(configs: Sequence[GuardConfig], batches: Sequence[Sequence[Judgment]]) -> list[Control]:
    """By one process, and the same by a new one for each version."""

    async def scenario() -> list[Control]:
        bus, versions = await log_of(batches)
        lasting = Guards(parts_for(bus=bus), configs)
        found: list[Any] = []
        for version in versions:
            once = await lasting.handle(version)
            again = await Guards(parts_for(bus=bus), configs).handle(version)
            assert [_timeless(each) for each in once] == [_timeless(each) for each in again]
            found += once
        return found

    return asyncio.run(scenario())


def _timeless(event: Any) -> Any:
    return event.model_copy(update={"created_at": AT})


def test_a_healthy_log_is_left_alone() -> None:
    guards = [
        MajorityConfig(window=2 * BATCH),
        MajorityConfig(window=2 * BATCH, agreement=0.8),
        FloorConfig(window=2 * BATCH, of="entropy", least=0.4),
        FloorConfig(window=2 * BATCH, of="unique", least=0.5),
        FloorConfig(window=2 * BATCH, of="learnable", least=0.9),
    ]
    assert said(guards, [batch(number) for number in HEALTHY]) == []


def test_a_constant_answer_stops_the_trainer_once_and_says_why() -> None:
    batches = [*(batch(n) for n in range(3)), *(batch(n, says="7") for n in range(3, 9))]
    [control] = said([MajorityConfig(window=2 * BATCH)], batches)
    assert (control.command, control.role, control.agent) == ("stop", "trainer", "guard")
    assert control.weights_version == 5
    assert control.finding == (
        "majority",
        "the vote has collapsed: '7' is the most common answer to 100% of 16 different tasks, "
        "50% are allowed",
    )
    controls = Controls()
    controls.take(control)
    assert controls.is_stopped("trainer") and not controls.is_stopped("solver")


def test_what_recovers_and_falls_again_is_said_again() -> None:
    collapsed = [batch(1, says="7"), batch(2, says="7")]
    healthy = [batch(3), batch(4)]
    batches = [*collapsed, *healthy, *(batch(n, says="7") for n in (5, 6))]
    found = said([MajorityConfig(window=BATCH, action="pause")], batches)
    assert [(one.weights_version, one.command) for one in found] == [(1, "pause"), (5, "pause")]


def test_nothing_is_said_before_the_window_is_full() -> None:
    batches = [batch(n, says="7") for n in range(3)]
    assert said([MajorityConfig(window=3 * BATCH + 1)], batches) == []
    [control] = said([MajorityConfig(window=3 * BATCH)], batches)
    assert control.weights_version == 3


def test_a_task_that_is_asked_again_counts_once() -> None:
    again = [judged("r12345", ["54321"] * 4, version) for version in range(BATCH)]
    assert said([MajorityConfig(window=BATCH)], [again]) == []


def asked_again(changed: int, version: int = 0) -> list[list[Judgment]]:
    """The same tasks of two versions; to so many of them the vote has another answer then."""
    prompts = [f"r{digits}" for digits in range(12345, 12345 + BATCH)]
    before = [judged(prompt, [prompt[1:]] * 3 + ["0"], version) for prompt in prompts]
    after = [
        judged(prompt, [prompt[1:] + "9" * (place < changed)] * 4, version + 1)
        for place, prompt in enumerate(prompts)
    ]
    return [before, after]


def test_labels_that_change_when_tasks_are_asked_again_have_drifted() -> None:
    drift = DriftConfig(window=2 * BATCH, least=BATCH)
    assert said([drift, MajorityConfig(window=2 * BATCH)], asked_again(BATCH // 2)) == []
    [control] = said([drift, MajorityConfig(window=2 * BATCH)], asked_again(BATCH // 2 + 1))
    assert (control.command, control.weights_version) == ("stop", 2)
    assert control.finding == (
        "drift",
        "labels drift: of 8 tasks that were asked again 62% have another most common answer than "
        "before, 50% are allowed",
    )


def test_too_few_tasks_asked_again_say_nothing_of_drift() -> None:
    assert said([DriftConfig(window=2 * BATCH, least=BATCH + 1)], asked_again(BATCH)) == []
    assert said([DriftConfig(window=2 * BATCH, least=1)], [batch(0), batch(1)]) == []


def test_a_vote_that_closes() -> None:
    batches = [batch(0, agree=3), batch(1, agree=4)]
    [control] = said([MajorityConfig(window=BATCH, agreement=0.95)], batches)
    assert control.weights_version == 2
    assert control.reason.startswith("the vote has closed: 100.0% of the samples")


@pytest.mark.parametrize(
    ("config", "fallen", "reason"),
    [
        (
            FloorConfig(window=BATCH, of="entropy", least=0.6),
            {},
            "the entropy of a token, in nats, fell to 0.5000, the floor is 0.6",
        ),
        (
            FloorConfig(window=BATCH, of="unique", least=0.3),
            {"agree": 4},
            "the share of different answers in a group fell to 0.2500, the floor is 0.3",
        ),
        (
            FloorConfig(window=BATCH, of="learnable", least=0.5),
            {"agree": 4},
            "the share of groups whose rewards differ fell to 0.0000, the floor is 0.5",
        ),
    ],
)
def test_a_floor_under_which_something_falls(
    config: FloorConfig, fallen: dict[str, Any], reason: str
) -> None:
    [control] = said([config], [batch(0, **fallen), batch(1, **fallen)])
    assert control.finding == ("floor", reason)


def test_several_guards_speak_each_for_itself() -> None:
    guards = [MajorityConfig(window=BATCH), FloorConfig(window=BATCH, least=0.6, action="pause")]
    found = said(guards, [batch(0, says="7")])
    assert [one.guard for one in found] == ["majority", "floor"]
    assert len({one.id for one in found}) == 2


def test_a_guard_has_the_source_ask_otherwise_over_what_was_changed_before() -> None:
    operator = Control(
        id=derive_id(RUN, "operator", "objective"),
        run=RUN,
        agent="operator",
        command="objective",
        role="proposer",
        settings={"floor": 0.1, "rate": 0.9},
    )
    guard = FloorConfig(
        window=BATCH, of="unique", least=0.3, action="objective", objective={"rate": 0.4}
    )

    alike = [batch(0, agree=4)]

    async def scenario() -> list[Any]:
        bus, versions = await log_of(alike)
        await bus.publish([operator])
        return list(await Guards(parts_for(bus=bus), [guard]).handle(versions[-1]))

    [control] = asyncio.run(scenario())
    assert (control.command, control.role) == ("objective", "proposer")
    assert control.settings == {"floor": 0.1, "rate": 0.4}
    controls = Controls()
    controls.take(control)
    assert controls.objective == controls.warned == control
    assert not controls.is_stopped("trainer")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "objective"}, "needs fields of the source"),
        ({"objective": {"floor": 0.1}}, "is for action = 'objective', not for 'stop'"),
        ({"action": "objective", "objective": {"type": "uniform"}}, "cannot change its type"),
    ],
)
def test_an_objective_is_said_where_it_is_meant(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FloorConfig(**fields)


def test_a_group_is_measured_as_the_vote_counts_it() -> None:
    found = measure(judged("r12345", ["1", "54321", "54321", "1", None]))
    assert (found.label, found.agreement, found.is_true) == ("1", 0.4, False)
    assert (found.unique, found.is_learnable, found.tokens) == (0.6, True, 5)
    assert found.surprise == pytest.approx(2.5)
    none = measure(judged("r12345", [None, None]))
    assert (none.label, none.agreement, none.is_true, none.is_labelled) == ("", 0.0, False, False)


def test_ways_that_end_alike_are_one_answer() -> None:
    found = measure(judged("r12345", ["9;54321", "1;54321", "7"]), ";")
    assert (found.label, found.is_true) == ("54321", True)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.unique == 1.0


def test_a_version_names_what_it_consumed() -> None:
    batches = [batch(0), batch(1)]

    async def scenario() -> None:
        bus, versions = await log_of(batches)
        for version, expected in zip(versions, [[], *batches], strict=True):
            ids = {judgment.id for judgment in judgments_of(bus.log, version)}
            assert ids == {judgment.id for judgment in expected}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "majority", "same": 0},
        {"type": "majority", "window": 0},
        {"type": "floor", "of": "novelty"},
        {"type": "floor", "least": 0},
        {"type": "floor", "action": "shout"},
        {"type": "mood"},
    ],
)
def test_what_is_no_guard_is_refused(wrong: dict[str, Any]) -> None:
    guards: TypeAdapter[AnyGuardConfig] = TypeAdapter(AnyGuardConfig)
    with pytest.raises(ValidationError):
        guards.validate_python(wrong)
