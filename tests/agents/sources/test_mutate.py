"""Tasks that are made of others: what operators do, who is a parent, and that a pool is what the
log says it is."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from agents.domains.domain import NotATask, Problem, fields_of
from agents.domains.programs.evolution import evolved
from agents.domains.programs.programs import ProgramsConfig
from agents.sources.mutate import Mutate, MutateConfig
from agents.sources.source import Draw
from bus.events import Judgment, Task, Verdict, derive_id
from bus.memory.bus import MemoryBus
from tests.agents.asking import RUN, attempt, weights
from tests.agents.parts import parts_for

PROGRAMS = ProgramsConfig(families=("deduction",), levels=(1, 2, 3, 4), warmup_levels=(1, 2))
DOMAIN = PROGRAMS.build()


def parts(text: str) -> tuple[str, str, str]:
    return text[0], *text[1:].split(":")  # type: ignore[return-value]


@pytest.mark.parametrize("index", range(20))
def test_an_operator_changes_one_thing(index: int) -> None:
    random = Random(index)
    parent = DOMAIN.make("deduction", 2, random)
    letter, program, value = parts(DOMAIN.write(parent))
    deeper = parts(evolved(parent, "deepen", random))
    assert (deeper[0], deeper[1][:-1], deeper[2]) == (letter, program, value)
    wider = parts(evolved(parent, "widen", random))
    assert (wider[0], len(wider[1]), wider[2]) == (letter, len(program), value)
    longer = parts(evolved(parent, "complicate", random))
    assert (longer[0], longer[1], len(longer[2])) == (letter, program, len(value) + 1)
    assert any(longer[2][:at] + longer[2][at + 1 :] == value for at in range(len(longer[2])))


def test_what_comes_to_nothing_is_no_task() -> None:
    parent = DOMAIN.read("ds:3142")
    reasons = Counter()  # type: Counter[str]
    for index in range(300):
        try:
            DOMAIN.evolve(parent, "deepen", Random(index))
        except NotATask as refusal:
            reasons[str(refusal)] += 1
    # Sorted twice is sorted once.
    assert reasons["trivial"] > 0
    longest = DOMAIN.read("ds:31425")
    with pytest.raises(NotATask, match="out of range"):
        DOMAIN.evolve(longest, "complicate", Random(1))
    with pytest.raises(NotATask, match="unknown operator"):
        DOMAIN.evolve(parent, "translate", Random(1))


def source(bus: MemoryBus | None = None, **fields: object) -> Mutate:
    config = MutateConfig.model_validate({"type": "mutate", **fields})
    return config.build(parts_for(domain=PROGRAMS, bus=bus))


def ask(asked: Mutate, version: int, count: int = 40) -> Draw:
    return asyncio.run(asked.draw(count, Random(version), version, f"draw {version}"))


def task(problem: Problem, version: int, index: int) -> Task:
    granted = weights(version).id
    return Task(
        id=derive_id(RUN, "proposer", granted, index),
        run=RUN,
        agent="proposer",
        domain="programs",
        **fields_of(problem),
        weights_version=version,
        granted_by=granted,
        source="mutate",
    )


def judged(asked: Task, rewards: Sequence[float]) -> Judgment:
    tried = attempt(asked, [asked.answer] * len(rewards))
    return Judgment(
        id=derive_id(RUN, "critic", tried.id),
        run=RUN,
        agent="critic",
        attempt=tried,
        verdicts=tuple(
            Verdict(scores={}, reward=reward, reason="", provenance="exact") for reward in rewards
        ),
        critic="exact",
    )


async def learned(bus: MemoryBus, version: int, judgments: Sequence[Judgment]) -> None:
    """A version that consumes these judgments."""
    before = bus.log.heads()
    await bus.publish([one.attempt.task for one in judgments])
    await bus.publish(list(judgments))
    positions = {
        f"{topic}/{partition}": ((before[topic, partition], end),)
        for (topic, partition), end in bus.log.heads().items()
        if topic == "judgments" and end > before[topic, partition]
    }
    await bus.publish([weights(version).model_copy(update={"positions": positions})])


async def evolution(bus: MemoryBus, versions: int) -> None:
    """Versions that learn from what a source has asked, right by chance."""
    await bus.publish([weights(0)])
    asked = source(bus)
    for version in range(versions):
        drawn = await asked.draw(12, Random(version), version, "")
        tasks = [task(each.problem, version, at) for at, each in enumerate(drawn.drafts)]
        chance = Random(f"judge {version}")
        marks = [[float(chance.random() < 0.5) for _ in range(3)] for _ in tasks]
        judgments = [judged(one, marked) for one, marked in zip(tasks, marks, strict=True)]
        await learned(bus, version + 1, judgments)


def test_at_first_the_pool_is_the_seed_tasks() -> None:
    asked = source()
    pool = asked.pool()
    assert len(pool) == 175
    assert {member.problem.level for member in pool} == {1, 2}
    assert {member.regret for member in pool} == {None}


def test_what_is_asked_is_new_and_evolved() -> None:
    asked = source()
    seeds = {member.problem.prompt for member in asked.pool()}
    draws = [ask(asked, version) for version in range(3)]
    prompts = [draft.problem.prompt for draw in draws for draft in draw.drafts]
    assert len(set(prompts)) == len(prompts) == 120
    assert len(set(prompts) & seeds) < 12
    assert max(draft.problem.level for draw in draws for draft in draw.drafts) == 3


def test_without_a_share_the_seed_tasks_are_asked() -> None:
    asked = source(share=0.0)
    seeds = {member.problem.prompt for member in asked.pool()}
    assert {draft.problem.prompt for draft in ask(asked, 0).drafts} <= seeds


def test_what_is_solved_always_or_never_is_eliminated() -> None:
    bus = MemoryBus()
    random = Random(5)
    problems = [DOMAIN.make("deduction", 3, random) for _ in range(3)]
    tasks = [task(problem, 0, index) for index, problem in enumerate(problems)]
    marks = [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    judgments = [judged(one, marked) for one, marked in zip(tasks, marks, strict=True)]

    async def scenario() -> None:
        await bus.publish([weights(0)])
        await learned(bus, 1, judgments)

    asyncio.run(scenario())
    asked = source(bus)
    ask(asked, 1)
    beside = [member for member in asked.pool() if member.problem.level == 3]
    assert [member.problem for member in beside] == problems[2:]
    assert beside[0].regret == 0.5


def test_parents_are_drawn_by_regret() -> None:
    bus = MemoryBus()
    random = Random(6)
    problems = [DOMAIN.make("deduction", 3, random) for _ in range(2)]
    tasks = [task(problem, 0, index) for index, problem in enumerate(problems)]
    marks = [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]
    judgments = [judged(one, marked) for one, marked in zip(tasks, marks, strict=True)]

    async def scenario() -> None:
        await bus.publish([weights(0)])
        await learned(bus, 1, judgments)

    asyncio.run(scenario())
    asked = source(bus, parents="regret", operators=["complicate", "deepen"])
    programs = Counter(draft.problem.metadata["program"][:3] for draft in ask(asked, 1, 60).drafts)
    hard, easy = (programs[problem.metadata["program"]] for problem in problems)
    # Regrets of .75 and .25: seed tasks, of which nothing is known, are no parents.
    assert hard > 1.5 * easy > 0


@pytest.mark.parametrize("fields", [{}, {"parents": "regret", "share": 0.5}, {"rounds": 2}])
def test_a_restarted_source_has_the_same_pool(fields: dict[str, object]) -> None:
    bus = MemoryBus()
    asyncio.run(evolution(bus, 5))
    first = source(bus, **fields)
    first.restore(first.state)
    for version in range(1, 6):
        asyncio.run(asyncio.to_thread(first._read, version))
    second = source(bus, **fields)
    second.restore(first.state)
    assert ask(first, 5) == ask(second, 5)
    assert first.pool() == second.pool()
    assert len(first.pool()) > 175


def test_only_the_last_rounds_are_remembered() -> None:
    bus = MemoryBus()
    asyncio.run(evolution(bus, 5))
    sizes = []
    for rounds in (1, 3, 5, 50):
        asked = source(bus, rounds=rounds)
        ask(asked, 5)
        sizes.append(len(asked.pool()))
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]


def test_a_pool_does_not_depend_on_partitions() -> None:
    pools = []
    for partitions in (1, 4):
        bus = MemoryBus(partitions=partitions)
        asyncio.run(evolution(bus, 3))
        asked = source(bus)
        ask(asked, 3)
        pools.append([(member.problem.prompt, member.regret) for member in asked.pool()])
    assert pools[0] == pools[1]
