"""Lessons: what is read, what is kept and forgotten, and that none is lost or said twice."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.engines.scripted import ScriptedEngine
from agents.samplers.lessons import LessonsConfig
from agents.samplers.memory import Lessons, Memory, forgotten, last
from agents.solver import Solver
from bus.bus import Bus
from bus.events import TRY, Attempt, Lesson, Task, derive_id
from bus.memory.bus import MemoryBus
from bus.sqlite.bus import SqliteBus
from tests.agents.asking import RUN
from tests.agents.samplers.coding import CODE, CODES, DOMAIN, LAST, TASKS, TINY, solver, task
from tests.bus.examples import JUDGED
from tests.bus.solving import events_on


async def solved(bus: Bus, role: Solver, asked: Task) -> tuple[Attempt, list[Lesson]]:
    attempt, *lessons = await role.handle(asked)
    await bus.publish([attempt, *lessons])
    assert isinstance(attempt, Attempt)
    return attempt, [one for one in lessons if isinstance(one, Lesson)]


def read(attempt: Attempt) -> list[str]:
    """What the tries of the first sample have read."""
    decode = ScriptedEngine(lambda *_: "").decode
    return [decode(turn.prompt_tokens) for turn in attempt.samples[0].turns]


def test_each_try_reads_what_the_ones_before_have_taught_and_the_last_one_counts() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        asked = task(1, CODE)
        attempt, lessons = await solved(bus, solver(bus, tries=LAST + 1), asked)
        taught = [f"-{letter}" for letter in CODES.operations[:LAST]]
        assert [lesson.text for lesson in lessons] == taught and LAST >= 2
        prompts = [f"{''.join(taught[:n])}!{asked.prompt}" for n in range(1, LAST + 1)]
        assert read(attempt) == [asked.prompt, *prompts]
        [sample] = attempt.samples
        assert sample.answer == asked.answer and sample.tries == LAST + 1
        assert {turn.seat for turn in sample.turns} == {TRY}
        for lesson in lessons:
            assert (lesson.task, lesson.attempt) == (asked.id, attempt.id)
            assert (lesson.about, lesson.turn.trainable) == (CODE, False)
            assert (lesson.turn.policy, lesson.weights_version) == ("current", 0)

    asyncio.run(scenario())


def test_later_tasks_about_the_same_read_them_from_the_log_and_others_do_not() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        first, lessons = await solved(bus, solver(bus), task(1, CODE))
        # Another process, that has read nothing yet.
        later, none = await solved(bus, solver(bus), task(2, CODE))
        assert (first.memory, later.memory) == (0, len(lessons))
        assert later.samples[0].tries == 1 and none == []
        assert read(later)[0].startswith("".join(lesson.text for lesson in lessons) + "!")
        other = next(code for code in DOMAIN._meanings if code != CODE)
        elsewhere, _ = await solved(bus, solver(bus), task(3, other))
        assert "!" not in read(elsewhere)[0]

    asyncio.run(scenario())


@pytest.mark.parametrize("reads", ["none", "others"])
def test_controls_read_no_lesson_of_their_own(reads: str) -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        other = next(code for code in DOMAIN._meanings if code != CODE)
        _, foreign = await solved(bus, solver(bus, always_wrong), task(0, other))
        attempt, own = await solved(bus, solver(bus, always_wrong, reads=reads), task(1, CODE))
        assert own and attempt.samples[0].tries == TINY.tries
        told = "".join(lesson.text for lesson in foreign)
        prompt = attempt.task.prompt
        assert set(read(attempt)) == {prompt if reads == "none" else f"{told}!{prompt}"}

    asyncio.run(scenario())


def always_wrong(prompt: str, version: int, random: Random) -> str:
    if prompt.startswith("?"):
        return f"-{prompt[1]}"
    return "0"


def says_of_itself(said: str, prompt: str, version: int, random: Random) -> str:
    return said if prompt.startswith("?") else "0"


def test_a_lesson_that_says_nothing_or_does_not_end_is_none() -> None:
    async def scenario() -> None:
        for said in ("", " ", "x" * 99):
            bus = MemoryBus()
            role = solver(bus, partial(says_of_itself, said))
            attempt, lessons = await solved(bus, role, task(1))
            assert lessons == [] and set(read(attempt)) == {attempt.task.prompt}

    asyncio.run(scenario())


def test_what_is_said_twice_is_kept_once_and_the_oldest_makes_room() -> None:
    async def scenario() -> None:
        bus = MemoryBus()
        said = iter("abcdb")

        def wrong(prompt: str, version: int, random: Random) -> str:
            return f"-{next(said)}" if prompt.startswith("?") else "0"

        role = solver(bus, wrong, tries=1)
        everything = [
            lesson for n in range(5) for lesson in (await solved(bus, role, task(n, CODE)))[1]
        ]
        memory = Memory(bus.log, 100).recall(CODE, 3)
        assert [lesson.text for lesson in everything] == ["-a", "-b", "-c", "-d", "-b"]
        assert [lesson.text for lesson in memory.about] == ["-c", "-d", "-b"]
        ids = [lesson.id for lesson in everything]
        assert [lesson.forgets for lesson in everything] == [(), (), (), (ids[0],), (ids[1],)]

    asyncio.run(scenario())


def lesson(index: int, about: str, text: str, forgets: Sequence[int] = ()) -> Lesson:
    return Lesson(
        id=derive_id(RUN, "solver", str(index)),
        run=RUN,
        agent="solver",
        task=derive_id(RUN, "proposer", "task"),
        attempt=derive_id(RUN, "solver", "task"),
        sample=0,
        about=about,
        turn=JUDGED.model_copy(update={"text": text}),
        forgets=tuple(derive_id(RUN, "solver", str(other)) for other in forgets),
    )


SAID = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from("xyz"), st.lists(st.integers(0, 30), max_size=2)
    ),
    max_size=30,
)


@given(said=SAID, capacity=st.integers(1, 12))
def test_a_memory_is_the_fold_of_the_last_lessons_wherever_it_was_begun(
    said: list[tuple[str, str, list[int]]], capacity: int
) -> None:
    lessons = [
        lesson(n, about, text, [one for one in forgets if one < n])
        for n, (about, text, forgets) in enumerate(said)
    ]
    whole, late = Lessons(capacity), Lessons(capacity)
    for one in lessons:
        whole.add(one)
    for one in lessons[-capacity:]:
        late.add(one)
    gone = {each for one in lessons for each in one.forgets}
    for about in "ab":
        here = [one for one in lessons[-capacity:] if one.about == about]
        assert whole.about(about) == late.about(about)
        assert whole.others(about, 5) == late.others(about, 5)
        assert {one.id for one in whole.about(about)} >= {one.id for one in here} - gone


@given(
    texts=st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=8),
    new=st.sets(st.sampled_from(["a", "dddd"]), max_size=2),
    count=st.integers(1, 4),
)
def test_what_is_read_and_kept_is_bounded(texts: list[str], new: set[str], count: int) -> None:
    found = last(texts, count, characters=4)
    assert len(found) <= count and sum(map(len, found)) <= 4
    assert len(set(found)) == len(found) and (not texts or not found or found[-1] == texts[-1])
    about = [lesson(n, "a", text) for n, text in enumerate(texts)]
    gone = forgotten(about, sorted(new), count)
    left = [one.text for one in about if one.id not in gone] + sorted(new)
    assert len(left) <= max(count, len(new)) and len(set(left)) == len(left)


def test_the_warm_up_shows_lessons_from_mistakes_and_answers_after_them() -> None:
    random = Random(0)
    problem = DOMAIN.make("codes", 1, random)
    mistakes = problem.metadata["mistakes"]
    shown = [TINY.example(problem, "000000", random) for _ in range(300)]
    said = {(one.prompt, one.answer) for one in shown if one is not None}
    reflections = {(f"?{problem.prompt}{wrong}", taught) for taught, wrong in mistakes.items()}
    assert said >= reflections | {(f"?{problem.prompt}000000", "")}
    tries = {prompt: answer for prompt, answer in said if isinstance(prompt, str) and "!" in prompt}
    assert set(tries.values()) == {problem.answer}
    assert len(tries) == 3 + 3 * 2 + 3 * 2 * 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"about": "{answer}"}, "without its answer"),
        ({"about": "{0}"}, "only fields of a task"),
        ({"retry": "{prompt}"}, "must show the {lessons}"),
        ({"reflect": "?"}, "must show the {answer}"),
    ],
)
def test_texts_that_miss_the_point_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        LessonsConfig(**settings)


def test_a_killed_solver_neither_loses_nor_doubles_a_lesson(tmp_path: Path) -> None:
    path, faults = tmp_path / "log.sqlite", tmp_path / "faults"
    faults.mkdir()
    tasks = [task(n, CODE if n % 2 else None) for n in range(TASKS)]

    async def ask() -> None:
        bus = SqliteBus(path)
        await bus.publish(tasks)
        await bus.close()

    asyncio.run(ask())
    ended = []
    for point in ("solver.completing", "bus.committing", None):
        if point is not None:
            (faults / point).touch()
        done = subprocess.run(
            [sys.executable, "-m", "tests.agents.samplers.coding", str(path)],
            env={**os.environ, "EVOLVENT_FAULTS": str(faults)},
            cwd=Path(__file__).parents[3],
            check=False,
        )
        ended.append(done.returncode)
    assert ended == [-signal.SIGKILL] * 2 + [0]

    async def check() -> None:
        bus = SqliteBus(path, read_only=True)
        attempts = [one for one in events_on(bus, "attempts") if isinstance(one, Attempt)]
        lessons = [one for one in events_on(bus, "lessons") if isinstance(one, Lesson)]
        assert {one.task.id for one in attempts} == {one.id for one in tasks}
        wrong = {one.id: one.samples[0].tries - 1 for one in attempts}
        assert sum(wrong.values()) > 0
        for attempt in attempts:
            own = [one.id for one in lessons if one.attempt == attempt.id]
            number = wrong[attempt.id]
            task_id = attempt.task.id
            assert own == [derive_id(RUN, "solver", task_id, 1 + n) for n in range(number)]
        await bus.close()

    asyncio.run(check())
