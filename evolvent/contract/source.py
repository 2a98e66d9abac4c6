"""What every source promises."""

import json
from dataclasses import asdict
from random import Random

from agents.sources.source import Draw, Source, SourceState
from bus.events import LevelCount
from evolvent.contract.promise import Promise, Subject, expect

_COUNT = 12


async def a_draw_has_exactly_what_was_asked_for(subject: Subject) -> None:
    source: Source = subject.build()
    for count in (0, 1, _COUNT):
        draw = await source.draw(count, Random(1), 0, "draw")
        expect(len(draw.drafts) == count, f"{len(draw.drafts)} drafts where {count} were wanted")


async def what_is_drawn_is_of_the_domain(subject: Subject) -> None:
    source: Source = subject.build()
    domain = subject.parts.domain
    for draft in (await source.draw(_COUNT, Random(2), 0, "draw")).drafts:
        problem = draft.problem
        known = problem.family in domain.families and problem.level in domain.levels
        expect(known, f"{problem} is of no family and level of the domain")
        expect(bool(draft.source), "a draft does not say which source it is from")


async def the_same_state_and_chance_draw_the_same(subject: Subject) -> None:
    first, second = [await _drawn(subject.build()) for _ in range(2)]
    expect(first.drafts == second.drafts, "two sources in the same state draw different tasks")


async def a_restored_source_goes_on_as_the_first(subject: Subject) -> None:
    first: Source = subject.build()
    first.fold(_batch(subject))
    state = SourceState(**json.loads(json.dumps(asdict(first.state))))
    second: Source = subject.build()
    second.restore(state)
    expect(second.state == first.state, f"{first.state} is restored as {second.state}")
    ours, theirs = await _drawn(first), await _drawn(second)
    expect(ours.drafts == theirs.drafts, "a restored source draws different tasks")


async def unknown_levels_are_no_error(subject: Subject) -> None:
    source: Source = subject.build()
    source.fold([LevelCount(family="unknown", level=999, tasks=1, samples=4, correct=2)])
    source.fold([])
    await source.draw(_COUNT, Random(4), 0, "draw")


async def _drawn(source: Source) -> Draw:
    return await source.draw(_COUNT, Random(3), 0, "draw")


def _batch(subject: Subject) -> list[LevelCount]:
    domain = subject.parts.domain
    return [
        LevelCount(family=family, level=level, tasks=8, samples=32, correct=16)
        for family in domain.families
        for level in domain.levels
    ]


PROMISES: tuple[Promise, ...] = (
    a_draw_has_exactly_what_was_asked_for,
    what_is_drawn_is_of_the_domain,
    the_same_state_and_chance_draw_the_same,
    a_restored_source_goes_on_as_the_first,
    unknown_levels_are_no_error,
)
