"""What every sampler promises."""

from collections.abc import Sequence
from functools import partial
from random import Random

from agents.samplers.sampler import Sampler
from bus.events import Sample, Task
from evolvent.contract.ground import NEWEST, attempt, task
from evolvent.contract.promise import Promise, Subject, expect

_SAMPLES = 4
_SOLVER = "current"


async def there_are_as_many_samples_as_asked_for(subject: Subject) -> None:
    for count in (1, _SAMPLES):
        samples = [each for each in await _samples(subject, count) if not each.hinted]
        expect(len(samples) == count, f"{len(samples)} samples where {count} were wanted")


async def a_hint_is_never_learned(subject: Subject) -> None:
    samples = await _samples(subject, 1)
    plain = {turn.prompt_tokens for each in samples if not each.hinted for turn in each.turns}
    for turn in (turn for each in samples for turn in each.turns):
        expect(
            turn.learned_prompt is None or turn.learned_prompt in plain,
            "a turn would be learned after a prompt that was never read without a hint",
        )


async def every_sample_has_turns_that_may_be_learned_from(subject: Subject) -> None:
    for sample in await _samples(subject):
        expect(bool(sample.turns), "a sample has no turn")
        expect(bool(sample.trainable), "of a sample nothing may be learned")


async def what_others_say_is_not_learned_from(subject: Subject) -> None:
    for sample in await _samples(subject):
        for turn in sample.trainable:
            expect(turn.policy == _SOLVER, f"a turn of the policy {turn.policy!r} is trainable")


async def every_turn_says_what_was_read_and_sampled(subject: Subject) -> None:
    for sample in await _samples(subject):
        for turn in sample.turns:
            expect(len(turn.logprobs) == len(turn.tokens), "a token has no log-probability")
            expect(bool(turn.prompt_tokens), "a turn does not say what the model read")
            expect(bool(turn.spans), "a turn does not say which version sampled it")


async def an_attempt_is_as_old_as_what_is_learned_from_it(subject: Subject) -> None:
    tried = attempt(_task(subject), await _samples(subject))
    expect(tried.oldest_version == NEWEST, f"it is of version {tried.oldest_version}")


def _task(subject: Subject) -> Task:
    domain = subject.parts.domain
    return task(domain.make(domain.families[0], domain.levels[1], Random(1)))


async def _samples(subject: Subject, count: int = _SAMPLES) -> Sequence[Sample]:
    asked, domain = _task(subject), subject.parts.domain
    speak = partial(
        subject.parts.policy(_SOLVER).sample,
        max_tokens=domain.max_answer_tokens(asked.level),
        temperature=1.0,
        since=NEWEST,
    )
    sampler: Sampler = subject.build()
    return await sampler.sample(asked, count, speak)


PROMISES: tuple[Promise, ...] = (
    there_are_as_many_samples_as_asked_for,
    a_hint_is_never_learned,
    every_sample_has_turns_that_may_be_learned_from,
    what_others_say_is_not_learned_from,
    every_turn_says_what_was_read_and_sampled,
    an_attempt_is_as_old_as_what_is_learned_from_it,
)
