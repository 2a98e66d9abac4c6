"""Whether lessons are of attempts on the log, and attempts have read no more lessons than there
are."""

from bus.errors import BusError, Unreadable
from bus.events import Attempt, Lesson
from bus.log import Log
from observability.audit.findings import Findings


def check_lesson(log: Log, lesson: Lesson, place: str, findings: Findings) -> None:
    """The attempt that it was learned from is one at the same task, and has that sample."""
    try:
        record = log.find(lesson.attempt)
        attempt = None if record is None else record.event()
    except (BusError, Unreadable):
        # What cannot be read is reported where it lies.
        return
    samples = attempt.samples if isinstance(attempt, Attempt) else ()
    at_the_task = isinstance(attempt, Attempt) and attempt.task.id == lesson.task
    if at_the_task and 0 <= lesson.sample < len(samples) and not lesson.turn.trainable:
        return
    findings.gather(
        "I12",
        "the lesson {example} is of no attempt on the log",
        "{number} lessons are of no attempts on the log: {examples}",
        place,
    )


def check_memory(attempt: Attempt, num_lessons: int, place: str, findings: Findings) -> None:
    if attempt.memory is not None and not 0 <= attempt.memory <= num_lessons:
        findings.gather(
            "I12",
            "{example} says that it could read more lessons than there are",
            "{number} attempts say that they could read more lessons than there are: {examples}",
            place,
        )
