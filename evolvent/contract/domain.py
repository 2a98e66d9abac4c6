"""What every domain promises. Problems of levels below `held_out_from`, where its configuration has
such a field, are too few to keep any back; where that is above all levels, none is kept back."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from agents.domains.domain import Domain, NotATask
from evolvent.contract.promise import DoesNotApply, Promise, Subject, expect
from evolvent.contract.texts import ODD_TEXTS, hostile, neighbours

_SUITE = 64
_MADE = 1_500
_REASONS = {
    *("unparseable", "unknown family", "out of range", "held-out", "trivial"),
    *("unsupported", "does not run", "not deterministic"),
}
_AT_ONCE_SECONDS = 2.0


def a_made_problem_is_of_its_family_and_level(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _cells(domain):
        problem = domain.make(family, level, Random(1))
        expect((problem.family, problem.level) == (family, level), f"{problem} of another level")
        whole = problem.prompt and problem.question and problem.answer
        expect(bool(whole), f"{problem} lacks its prompt, question or answer")


def the_reference_answer_is_right_only_if_ended(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _cells(domain):
        problem = domain.make(family, level, Random(2))
        ended = domain.score(problem, problem.answer, ended=True)
        expect((ended.value, ended.reason) == (1.0, "right"), f"{problem} scores {ended}")
        cut = domain.score(problem, problem.answer, ended=False)
        expect(cut.value == 0.0, f"{problem}, not ended, scores {cut}")


def an_answer_that_goes_on_is_never_fully_right(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _cells(domain):
        problem = domain.make(family, level, Random(3))
        for surplus in ("1", "x", "xyz"):
            score = domain.score(problem, problem.answer + surplus, ended=True)
            expect(score.value < 1.0, f"{problem.answer + surplus!r} is right for {problem}")


def an_empty_answer_is_worth_nothing_and_says_so(subject: Subject) -> None:
    domain: Domain = subject.build()
    problem = domain.make(domain.families[0], domain.levels[-1], Random(4))
    score = domain.score(problem, "", ended=True)
    expect((score.value, score.reason) == (0.0, "empty"), f"it is {score}, not 0.0 and 'empty'")


def no_answer_is_an_error(subject: Subject) -> None:
    domain: Domain = subject.build()
    problem = domain.make(domain.families[0], domain.levels[0], Random(7))
    for answer in (*ODD_TEXTS, *neighbours(problem.answer)):
        score = domain.score(problem, answer, ended=True)
        expect(0.0 <= score.value <= 1.0, f"{answer!r} scores {score}")


def a_problem_is_judged_the_same_after_a_journey_through_json(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _cells(domain):
        problem = domain.make(family, level, Random(5))
        metadata = json.loads(json.dumps(problem.metadata))
        expect(metadata == problem.metadata, f"JSON makes {metadata} of {problem.metadata}")
        score = domain.score(problem, problem.answer, ended=True)
        expect(score.right, f"{problem} scores {score}")


def there_is_room_for_the_answer_and_its_end(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _cells(domain):
        for problem in domain.held_out(family, level, 16):
            room = domain.max_answer_tokens(level)
            expect(room > len(problem.answer), f"{room} tokens for {problem.answer!r} and its end")


def there_is_room_for_the_longest_task_and_its_end(subject: Subject) -> None:
    domain = _writable(subject)
    for family in domain.families:
        text = domain.write(domain.make(family, domain.levels[-1], Random(9)))
        room = domain.max_proposal_tokens()
        expect(room > len(text), f"{room} tokens for {text!r} and its end")


def held_out_problems_are_distinct_and_always_the_same(subject: Subject) -> None:
    domain, again = subject.build(), subject.build()
    for family, level in _cells(domain):
        suite = domain.held_out(family, level, _SUITE)
        prompts = {problem.prompt for problem in suite}
        expect(len(prompts) == len(suite), f"level {level} has a problem twice")
        expect(again.held_out(family, level, _SUITE) == suite, f"level {level} has two suites")
        expect(domain.held_out(family, level, 8) == suite[:8], "a part is no beginning")
    if any(_kept_back(subject, domain)):
        last = domain.held_out(domain.families[0], domain.levels[-1], _SUITE)
        expect(len(last) == _SUITE, f"the last level has {len(last)} of {_SUITE}")


def more_held_out_problems_than_kept_back_are_refused(subject: Subject) -> None:
    domain: Domain = subject.build()
    if not any(_kept_back(subject, domain)):
        raise DoesNotApply("it keeps no problem back")
    kept = getattr(subject.config, "held_out_per_level", _SUITE)
    try:
        found = domain.held_out(domain.families[0], domain.levels[-1], kept + 1)
    except ValueError as refused:
        told = "raise held_out_per_level" in str(refused) or kept == _SUITE
        expect(told, f"it does not say what to do: {refused}")
    else:
        expect(False, f"it gives {len(found)} where {kept + 1} are wanted, instead of ValueError")


def making_never_gives_a_held_out_problem(subject: Subject) -> None:
    domain: Domain = subject.build()
    random = Random(6)
    for family, level in _kept_back(subject, domain):
        suite = {problem.prompt for problem in domain.held_out(family, level, _SUITE)}
        made = {domain.make(family, level, random).prompt for _ in range(_MADE)}
        expect(not made & suite, f"level {level} makes {sorted(made & suite)[:1]}")


def reading_refuses_held_out_problems(subject: Subject) -> None:
    domain = _writable(subject)
    for family, level in _kept_back(subject, domain):
        for problem in domain.held_out(family, level, 4):
            expect(
                _refusal(domain, domain.write(problem)) == "held-out",
                f"{domain.write(problem)!r} is held out and can be read",
            )


def a_user_may_pose_any_problem(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _cells(domain):
        problem = domain.make(family, level, Random(8))
        try:
            posed = domain.pose(problem.prompt, family)
        except NotATask:
            continue
        score = domain.score(posed, posed.answer, ended=True)
        expect(score.right or not posed.answer, f"{posed} scores {score}")


def what_is_written_can_be_read(subject: Subject) -> None:
    domain = _writable(subject)
    random = Random(10)
    for family, level in _cells(domain):
        for _ in range(8):
            problem = domain.make(family, level, random)
            read = domain.read(domain.write(problem))
            expect(read == problem, f"{problem} comes back as {read}")


def any_text_is_a_task_or_refused(subject: Subject) -> None:
    domain: Domain = subject.build()
    made = [domain.make(family, level, Random(11)).prompt for family, level in _cells(domain)]
    for text in (*ODD_TEXTS, *(odd for prompt in made for odd in neighbours(prompt))):
        try:
            problem = domain.read(text)
        except NotATask as refusal:
            known = str(refusal) in _REASONS
            expect(known, f"{text!r} is refused as {str(refusal)!r}, none of {sorted(_REASONS)}")
        else:
            expect(domain.write(problem) == text, f"{text!r} is written {domain.write(problem)!r}")
            expect(problem.level in domain.levels, f"{text!r} is of level {problem.level}")


def hostile_tasks_are_refused_at_once(subject: Subject) -> None:
    """No model can make the process that reads its tasks wait, or fail."""
    domain: Domain = subject.build()
    for family, level in _ends(domain):
        problem = domain.make(family, level, Random(13))
        for text in hostile(domain.write(problem)):
            with _at_once(text):
                reason = _refusal(domain, text)
            known = reason in _REASONS
            expect(known, f"{text[:40]!r}... is refused as {reason!r}, none of {sorted(_REASONS)}")


def hostile_answers_are_judged_at_once(subject: Subject) -> None:
    domain: Domain = subject.build()
    for family, level in _ends(domain):
        problem = domain.make(family, level, Random(14))
        for text in hostile(problem.answer):
            with _at_once(text):
                score = domain.score(problem, text, ended=True)
            expect(0.0 <= score.value <= 1.0, f"{text[:40]!r}... scores {score}")


def another_process_makes_the_same_problems(subject: Subject) -> None:
    """A walk over a set, or `hash`, would show: the other process has other hashes."""
    module, config = type(subject.config), subject.config.model_dump_json()
    source = getattr(sys.modules.get(module.__module__), "__file__", None)
    program = _OTHER_PROCESS.format(module=module.__module__, source=source, name=module.__name__)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=config, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    expect(done.returncode == 0, f"it cannot be built there: {done.stderr.strip()[-300:]}")
    here = prompts_of(subject.build())
    expect(json.loads(done.stdout) == here, "it makes other problems there")


_OTHER_PROCESS = """
import json, sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location({module!r}, {source!r})
module = sys.modules[{module!r}] = module_from_spec(spec)
spec.loader.exec_module(module)
from evolvent.contract.domain import prompts_of
print(json.dumps(prompts_of(module.{name}.model_validate_json(sys.stdin.read()).build(None))))
"""


def prompts_of(domain: Domain) -> list[list[str]]:
    """A made problem and the suite of every family and level."""
    return [
        [domain.make(family, level, Random(f"{family} {level}")).prompt]
        + [problem.prompt for problem in domain.held_out(family, level, _SUITE)]
        for family, level in _cells(domain)
    ]


def _cells(domain: Domain) -> Iterator[tuple[str, int]]:
    return ((family, level) for family in domain.families for level in domain.levels)


def _kept_back(subject: Subject, domain: Domain) -> Iterator[tuple[str, int]]:
    first = getattr(subject.config, "held_out_from", 1)
    return ((family, level) for family, level in _cells(domain) if level >= first)


def _writable(subject: Subject) -> Domain:
    domain: Domain = subject.build()
    problem = domain.make(domain.families[0], domain.levels[0], Random(12))
    if _refusal(domain, domain.write(problem)) == "unparseable":
        raise DoesNotApply("no model can write its tasks")
    return domain


def _refusal(domain: Domain, text: str) -> str | None:
    try:
        domain.read(text)
    except NotATask as refusal:
        return str(refusal)
    return None


def _ends(domain: Domain) -> Iterator[tuple[str, int]]:
    """The easiest and the hardest level of every family."""
    ends = dict.fromkeys((domain.levels[0], domain.levels[-1]))
    return ((family, level) for family in domain.families for level in ends)


@contextmanager
def _at_once(text: str) -> Iterator[None]:
    started = time.process_time()
    yield
    spent = time.process_time() - started
    expect(spent < _AT_ONCE_SECONDS, f"{text[:40]!r}... ({len(text)} characters) takes {spent} s")


PROMISES: tuple[Promise, ...] = (
    a_made_problem_is_of_its_family_and_level,
    the_reference_answer_is_right_only_if_ended,
    an_answer_that_goes_on_is_never_fully_right,
    an_empty_answer_is_worth_nothing_and_says_so,
    no_answer_is_an_error,
    a_problem_is_judged_the_same_after_a_journey_through_json,
    there_is_room_for_the_answer_and_its_end,
    there_is_room_for_the_longest_task_and_its_end,
    held_out_problems_are_distinct_and_always_the_same,
    more_held_out_problems_than_kept_back_are_refused,
    making_never_gives_a_held_out_problem,
    reading_refuses_held_out_problems,
    a_user_may_pose_any_problem,
    what_is_written_can_be_read,
    any_text_is_a_task_or_refused,
    hostile_tasks_are_refused_at_once,
    hostile_answers_are_judged_at_once,
    another_process_makes_the_same_problems,
)
