"""What every role promises."""

from collections.abc import Sequence

from bus.events import Event
from bus.records import to_records
from bus.runner import Rejected
from bus.topics import TOPICS
from evolvent.contract.ground import RUN, events
from evolvent.contract.promise import Promise, Subject, expect


def it_reads_topics_that_there_are(subject: Subject) -> None:
    topics = tuple(subject.config.topics)
    expect(bool(topics), "it names no topics to read")
    for topic in topics:
        expect(topic in TOPICS, f"there is no topic {topic}")


async def it_answers_or_rejects_every_event_of_its_topics(subject: Subject) -> None:
    for outputs in await _answers(subject):
        for output in outputs:
            expect(isinstance(output, Event), f"{output!r} is no event")


async def what_it_says_can_be_written(subject: Subject) -> None:
    for outputs in await _answers(subject):
        to_records(outputs, TOPICS)


async def what_it_says_is_signed(subject: Subject) -> None:
    for outputs in await _answers(subject):
        for output in outputs:
            expect(output.run == RUN, f"{output.type()} says it is of the run {output.run!r}")
            expect(
                output.agent == subject.type,
                f"{output.type()} is signed {output.agent!r}, not {subject.type!r}",
            )


async def the_same_event_is_answered_under_the_same_ids(subject: Subject) -> None:
    """A crash between answer and commit repeats the work: the log must see it is the same."""
    first, second = await _answers(subject), await _answers(subject)
    for ours, theirs in zip(first, second, strict=True):
        ids = [output.id for output in ours]
        expect(len(set(ids)) == len(ids), "two events have the same id")
        expect(ids == [output.id for output in theirs], "a second process gives other ids")


async def _answers(subject: Subject) -> list[Sequence[Event]]:
    """What a new process of the role says to one event of each of its topics."""
    role = subject.build()
    known = await events(subject.parts)
    said: list[Sequence[Event]] = []
    for topic in subject.config.topics:
        try:
            said.append(await role.handle(known[topic]))
        except Rejected:
            said.append(())
    return said


PROMISES: tuple[Promise, ...] = (
    it_reads_topics_that_there_are,
    it_answers_or_rejects_every_event_of_its_topics,
    what_it_says_can_be_written,
    what_it_says_is_signed,
    the_same_event_is_answered_under_the_same_ids,
)
