"""What every filter promises."""

from collections.abc import Sequence
from random import Random

from bus.events import Judgment
from evolvent.contract.ground import judgments
from evolvent.contract.promise import Promise, Subject, expect
from trainer.filters.filter import Filter

_COUNT = 12


async def what_is_chosen_is_of_the_batch(subject: Subject) -> None:
    batch = {judgment.id: judgment for judgment in await judgments(subject.parts, _COUNT)}
    for chosen in _chosen(subject, list(batch.values())):
        whole = batch.get(chosen.id)
        if whole is None:
            expect(False, f"judgment {chosen.id} is not of the batch")
            return
        samples = whole.attempt.samples
        known = all(sample in samples for sample in chosen.attempt.samples)
        expect(known, f"judgment {chosen.id} has samples that it never had")


async def every_chosen_sample_keeps_its_verdict(subject: Subject) -> None:
    batch = await judgments(subject.parts, _COUNT)
    said = {judgment.id: judgment for judgment in batch}
    for chosen in _chosen(subject, batch):
        pairs = list(zip(chosen.attempt.samples, chosen.verdicts, strict=True))
        whole = said[chosen.id]
        known = list(zip(whole.attempt.samples, whole.verdicts, strict=True))
        expect(all(pair in known for pair in pairs), f"judgment {chosen.id} has other verdicts")
        expect(bool(pairs), f"judgment {chosen.id} is chosen without a sample")


async def nothing_is_chosen_twice(subject: Subject) -> None:
    chosen = [one.id for one in _chosen(subject, await judgments(subject.parts, _COUNT))]
    expect(len(set(chosen)) == len(chosen), "a judgment is chosen twice")


async def the_same_chance_chooses_the_same(subject: Subject) -> None:
    batch = await judgments(subject.parts, _COUNT)
    expect(list(_chosen(subject, batch)) == list(_chosen(subject, batch)), "it chooses two ways")


def an_empty_batch_is_no_error(subject: Subject) -> None:
    expect(not _chosen(subject, []), "it chooses of nothing")


def _chosen(subject: Subject, batch: Sequence[Judgment]) -> Sequence[Judgment]:
    part: Filter = subject.build()
    return part.choose(batch, Random(1))


PROMISES: tuple[Promise, ...] = (
    what_is_chosen_is_of_the_batch,
    every_chosen_sample_keeps_its_verdict,
    nothing_is_chosen_twice,
    the_same_chance_chooses_the_same,
    an_empty_batch_is_no_error,
)
