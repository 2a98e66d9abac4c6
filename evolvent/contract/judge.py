"""What every judge promises."""

from math import isfinite
from random import Random

from agents.judges.judge import Judge, Records
from bus.events import Attempt, Sample, Verdict
from evolvent.contract.ground import attempt, task, turn
from evolvent.contract.promise import Promise, Subject, expect

_ODD_ANSWERS = ("", " ", "\u20ac", "{answer}", "1" * 400, "nan", "\n")


async def every_sample_has_a_verdict(subject: Subject) -> None:
    tried = _attempt(subject)
    verdicts = await _judge(subject, tried)
    expect(
        len(verdicts) == len(tried.samples),
        f"{len(verdicts)} verdicts for {len(tried.samples)} samples",
    )


async def a_verdict_says_which_judge_it_is_from(subject: Subject) -> None:
    for verdict in await _judge(subject, _attempt(subject)):
        expect(
            verdict.provenance == subject.type,
            f"its provenance is {verdict.provenance!r}, not {subject.type!r}",
        )
        expect(bool(verdict.reason), "a verdict gives no reason")


async def rewards_and_scores_are_numbers(subject: Subject) -> None:
    for verdict in await _judge(subject, _attempt(subject)):
        numbers = [verdict.reward, *verdict.scores.values()]
        expect(all(isfinite(number) for number in numbers), f"{verdict} holds no number")


async def the_same_attempt_is_judged_the_same(subject: Subject) -> None:
    tried = _attempt(subject)
    first, second = await _judge(subject, tried), await _judge(subject, tried)
    rewards = [[verdict.reward for verdict in verdicts] for verdicts in (first, second)]
    expect(rewards[0] == rewards[1], f"{rewards[0]} at first, {rewards[1]} then")


async def a_bad_answer_is_data(subject: Subject) -> None:
    asked = _attempt(subject).task
    for ended in (True, False):
        samples = [Sample(turns=(turn(answer, ended=ended),)) for answer in _ODD_ANSWERS]
        verdicts = await _judge(subject, attempt(asked, samples))
        expect(len(verdicts) == len(samples), "an odd answer has no verdict")


async def by_what_it_left_it_judges_the_same(subject: Subject) -> None:
    judge: Judge = subject.build()
    if isinstance(judge, Records):
        tried = _attempt(subject)
        said = await judge.judge(tried)
        expect(judge.again(tried, said) == said, "by its own verdicts it judges otherwise")


async def what_a_model_said_is_not_learned_from(subject: Subject) -> None:
    for verdict in await _judge(subject, _attempt(subject)):
        if verdict.turn is not None:
            expect(not verdict.turn.trainable, "the judge's turn is trainable")


async def _judge(subject: Subject, tried: Attempt) -> tuple[Verdict, ...]:
    judge: Judge = subject.build()
    return await judge.judge(tried)


def _attempt(subject: Subject) -> Attempt:
    """Right, wrong, right again, and one that was cut off."""
    domain = subject.parts.domain
    problem = domain.make(domain.families[0], domain.levels[2], Random(1))
    answers = (problem.answer, problem.answer + "1", problem.answer)
    samples = [Sample(turns=(turn(answer),)) for answer in answers]
    samples.append(Sample(turns=(turn(problem.answer, ended=False),)))
    return attempt(task(problem), samples)


PROMISES: tuple[Promise, ...] = (
    every_sample_has_a_verdict,
    a_verdict_says_which_judge_it_is_from,
    rewards_and_scores_are_numbers,
    the_same_attempt_is_judged_the_same,
    a_bad_answer_is_data,
    by_what_it_left_it_judges_the_same,
    what_a_model_said_is_not_learned_from,
)
