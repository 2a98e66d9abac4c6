"""What a proposer reads, what it may not repeat, and that both survive a restart."""

import asyncio
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.domains.programs.programs import ProgramsConfig
from agents.sources.context import drawn, in_context, seed_tasks
from agents.sources.learned import Learned, LearnedConfig
from agents.sources.likeness import Likeness
from agents.sources.memory import Entry, Memory, remembered
from agents.sources.source import Draw
from bus.events import Task, derive_id
from bus.memory.bus import MemoryBus
from tests.agents.asking import RUN, engine
from tests.agents.parts import parts_for

PROGRAMS = ProgramsConfig(levels=(1, 2, 3, 4), warmup_levels=(1, 2))
DOMAIN = PROGRAMS.build()
SELF_INSTRUCT = LearnedConfig(show_seeds=6, show_made=2, most_alike=0.7)


class Author:
    """Writes tasks of the family that it reads most of, and keeps what it has read."""

    def __init__(self) -> None:
        self.read: list[list[str]] = []

    def __call__(self, prompt: str, version: int, random: Random) -> str:
        *shown, own = prompt.split("|")
        assert own == DOMAIN.proposer_prompt()
        self.read.append(shown)
        [(letter, _)] = Counter(text[0] for text in shown).most_common(1)
        family = {"d": "deduction", "a": "abduction", "i": "induction"}[letter]
        return DOMAIN.write(DOMAIN.make(family, random.choice((1, 2, 3, 4)), random))


def source(config: LearnedConfig, author: Author, bus: MemoryBus | None = None) -> Learned:
    return config.build(parts_for(engine=engine(author), bus=bus, domain=PROGRAMS))


def ask(asked: Learned, version: int, count: int = 12) -> Draw:
    return asyncio.run(asked.draw(count, Random(version), version, f"draw {version}"))


def tasks(draw: Draw, version: int) -> list[Task]:
    granted = derive_id(RUN, "trainer", str(version))
    return [
        Task(
            id=derive_id(RUN, "proposer", granted, index),
            run=RUN,
            agent="proposer",
            domain="programs",
            family=draft.problem.family,
            level=draft.problem.level,
            prompt=draft.problem.prompt,
            question=draft.problem.question,
            answer=draft.problem.answer,
            weights_version=version,
            granted_by=granted,
            source=draft.source,
            proposal=draft.proposal,
        )
        for index, draft in enumerate(draw.drafts)
    ]


def texts(draw: Draw) -> list[str]:
    return [draft.proposal.turn.text for draft in draw.drafts if draft.proposal]


def test_six_seeds_and_two_of_its_own_are_read() -> None:
    author = Author()
    asked = source(SELF_INSTRUCT, author)
    seeds = {seed.text for seed in seed_tasks(DOMAIN, 175, parts_for().seed)}
    assert len(seeds) == 175
    first = texts(ask(asked, 0))
    # While there are none of its own, seeds stand in.
    assert all(len(set(shown)) == 8 and set(shown) <= seeds for shown in author.read)
    assert len(first) > 2
    author.read.clear()
    ask(asked, 1)
    for shown in author.read:
        assert len(set(shown) & seeds) == 6
        assert len(set(shown) & set(first)) == 2
    assert len({tuple(shown) for shown in author.read}) == len(author.read)


def test_what_is_shown_is_mixed() -> None:
    seeds = seed_tasks(DOMAIN, 20, 1)
    made = [seed for seed in seed_tasks(DOMAIN, 20, 2) if seed not in seeds]
    own = {one.text for one in made}
    places = Counter(
        place
        for draw in range(200)
        for place, text in enumerate(drawn(seeds, made, (6, 2), Random(draw)))
        if text in own
    )
    assert len(places) == 8


def test_nothing_of_a_pool_is_too_much_like_another() -> None:
    asked = source(SELF_INSTRUCT, Author())
    draws = [ask(asked, version, 40) for version in range(3)]
    pool = [seed.text for seed in seed_tasks(DOMAIN, 175, parts_for().seed)]
    for text in (text for draw in draws for text in texts(draw)):
        assert max(rouge(text, other) for other in pool) <= 0.7
        pool.append(text)
    refused = [(one.reason, one.proposal.turn.text) for draw in draws for one in draw.refused]
    alike = [text for reason, text in refused if reason == "too alike"]
    assert alike
    assert all(max(rouge(text, other) for other in pool) > 0.7 for text in alike)


def test_exactly_the_threshold_is_new() -> None:
    memory = Memory(10, ["abcdefgxyz"], 0.7)
    assert rouge("abcdefghij", "abcdefgxyz") == 0.7
    assert not memory.is_alike("abcdefghij", Likeness())
    assert memory.is_alike("abcdefghyz", Likeness())


def test_a_family_is_asked_for_by_what_is_read() -> None:
    author = Author()
    asked = source(LearnedConfig(show_made=6, by_family=True), author)
    for version in range(2):
        author.read.clear()
        draw = ask(asked, version)
        assert Counter(shown[0][0] for shown in author.read) == dict.fromkeys("dai", 4)
        assert all(len({text[0] for text in shown}) == 1 for shown in author.read)
        assert all(len(shown) == 6 for shown in author.read)
        for draft in draw.drafts:
            if draft.proposal is not None:
                assert draft.proposal.turn.seat == f"proposer/{draft.problem.family}"


def test_a_task_of_another_family_is_refused() -> None:
    asked = LearnedConfig(show_seeds=2, by_family=True).build(
        parts_for(engine=engine(lambda *_: "drn:3142"), domain=PROGRAMS)
    )
    reasons = Counter(one.reason for one in ask(asked, 0, 6).refused)
    assert reasons == {"another family": 4, "duplicate": 1}


def test_without_a_context_a_model_is_told_no_family() -> None:
    with pytest.raises(ValidationError, match="by_family needs show_seeds or show_made"):
        LearnedConfig(by_family=True)


def test_without_a_context_the_prompt_is_the_domains_own() -> None:
    assert in_context("P>", ()) == "P>"
    assert in_context("P>", ("drn:3142", "aw:777")) == "drn:3142|aw:777|P>"


@pytest.mark.parametrize("memory", [2000, 15])
def test_a_restarted_source_reads_and_refuses_as_the_first(memory: int) -> None:
    bus = MemoryBus()
    config = SELF_INSTRUCT.model_copy(update={"memory": memory})
    author = Author()
    first = source(config, author, bus)
    for version in range(3):
        asyncio.run(bus.publish(tasks(ask(first, version, 20), version)))
    again = Author()
    second = source(config, again, bus)
    second.restore(first.state)
    author.read.clear()
    assert ask(first, 3) == ask(second, 3)
    assert author.read == again.read


def test_what_is_remembered_does_not_depend_on_partitions() -> None:
    asked = source(SELF_INSTRUCT, Author())
    made = [task for version in (0, 1) for task in tasks(ask(asked, version, 20), version)]
    for count in (0, 7, 33, 100):
        logs = []
        for partitions in (1, 4):
            bus = MemoryBus(partitions=partitions)
            asyncio.run(bus.publish(made))
            logs.append(remembered(bus.log, count))
        assert logs[0] == logs[1]
        assert len(logs[0]) == min(count, len(made))


def test_the_oldest_is_forgotten() -> None:
    memory = Memory(2)
    memory.keep([Entry(prompt=prompt, written=None) for prompt in "abca"])
    assert ["a" in memory, "b" in memory, "c" in memory] == [True, False, True]
    memory.keep([Entry(prompt="a", written=None)])
    memory.keep([Entry(prompt="b", written=None)])
    assert ["a" in memory, "b" in memory, "c" in memory] == [True, True, False]


def rouge(one: str, other: str) -> float:
    """By the book."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, mine in enumerate(one):
        for j, theirs in enumerate(other):
            longer = table[i][j] + 1 if mine == theirs else max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = longer
    return 2 * table[-1][-1] / (len(one) + len(other))


WORDS = st.text("abc:1", min_size=1, max_size=63)


@given(st.lists(WORDS, max_size=6), WORDS, st.integers(0, 6))
def test_likeness_is_that_of_the_book(pool: list[str], text: str, num_dropped: int) -> None:
    likeness = Likeness(pool)
    for _ in range(min(num_dropped, len(pool))):
        likeness.drop()
    left = pool[num_dropped:]
    assert likeness.most(text) == pytest.approx(max((rouge(text, one) for one in left), default=0))


def test_of_long_texts_the_beginnings_are_compared() -> None:
    likeness = Likeness(["a" * 500])
    assert likeness.most("a" * 63 + "b" * 200) == 1.0
    assert likeness.most("") == 0.0
