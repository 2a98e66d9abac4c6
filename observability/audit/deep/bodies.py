"""A body against the headers it was written with, and what is embedded in it against the log: the
task in an attempt, the attempt in a judgment, the version that an answer names. Knows no domain.
"""

from datetime import datetime
from urllib.parse import quote

from bus.errors import BusError, Unreadable
from bus.events import Attempt, Event, Judgment, Weights
from bus.log import Log
from bus.records import Record
from observability.audit.findings import Findings

_REMEMBERED = 1024


class Bodies:
    def __init__(self, log: Log, findings: Findings) -> None:
        self._log = log
        self._findings = findings
        self._numbers: dict[str, int | None] = {}

    def check(self, record: Record, event: Event, place: str) -> None:
        for name, said in _promised(event).items():
            found = record.headers.get(name)
            if found is not None and found != said:
                self._differs(f"header {name}", place)
        if record.headers.get("ce_causationid", event.answers) != event.answers:
            self._differs("header ce_causationid", place)
        if (dated := record.headers.get("ce_time")) and not _same_time(dated, event):
            self._differs("header ce_time", place)
        if record.key != event.key:
            self._differs("key", place)
        if event.channel != record.topic:
            self._differs("topic", place)
        self._check_version(event, place)
        if isinstance(event, Attempt):
            self._check_embedded(event.task, place)
        elif isinstance(event, Judgment):
            self._check_embedded(event.attempt, place)

    def _check_version(self, event: Event, place: str) -> None:
        """The number of the version that an event answers is that of the version with its id."""
        said = getattr(event, "weights_version", None)
        if not isinstance(said, int) or event.answers is None:
            return
        number = self._number(event.answers)
        if number is not None and said != number:
            self._findings.gather(
                "I12",
                "{example} says another number of version than the one that it answers has",
                "{number} records say other numbers of versions than those that they answer have: "
                "{examples}",
                place,
            )

    def _number(self, event_id: str) -> int | None:
        """Of the version with this id; the versions that were asked for last are in memory."""
        if event_id not in self._numbers:
            try:
                record = self._log.find(event_id)
                event = None if record is None else record.event()
            except (BusError, Unreadable):
                event = None
            if len(self._numbers) >= _REMEMBERED:
                self._numbers.clear()
            self._numbers[event_id] = event.number if isinstance(event, Weights) else None
        return self._numbers[event_id]

    def _check_embedded(self, event: Event, place: str) -> None:
        try:
            record = self._log.find(event.id)
            on_log = None if record is None else record.event()
        except (BusError, Unreadable):
            # What cannot be read is reported where it lies.
            return
        if on_log == event or (on_log is not None and _text(on_log) == _text(event)):
            return
        what = event.type()
        self._findings.gather(
            "I12",
            f"the {what} inside of {{example}} is not the {what} on the log",
            f"inside of {{number}} records is another {what} than on the log: {{examples}}",
            place,
        )

    def _differs(self, what: str, place: str) -> None:
        self._findings.gather(
            "I12",
            f"the {what} of {{example}} is not what its body says",
            f"the {what} of {{number}} records is not what their bodies say: {{examples}}",
            place,
        )


def _promised(event: Event) -> dict[str, str]:
    """The headers that follow from a body. One that is absent promises nothing."""
    promised = {
        "ce_id": event.id,
        "ce_type": f"evolvent.{event.type()}",
        "ce_source": f"/{quote(event.run, safe='')}/{quote(event.agent, safe='')}",
        "ce_subject": event.key,
        "ce_correlationid": event.correlation,
    }
    if (version := _version(event)) is not None:
        promised["ce_modelversion"] = str(version)
    return promised


def _version(event: Event) -> int | None:
    if isinstance(event, Judgment):
        event = event.attempt
    if isinstance(event, Attempt):
        # Said apart from the event's own reckoning.
        spans = [
            span.version
            for sample in event.samples
            for turn in sample.turns
            if turn.trainable
            for span in turn.spans
        ]
        return min(spans, default=None)
    version = event.number if isinstance(event, Weights) else None
    return getattr(event, "weights_version", version)


def _same_time(text: str, event: Event) -> bool:
    try:
        dated = datetime.fromisoformat(text)
    except ValueError:
        return False
    created = event.created_at
    if created.tzinfo is None or dated.tzinfo is None:
        return dated.replace(tzinfo=None) == created.replace(tzinfo=None)
    return dated == created


def _text(event: Event) -> str:
    return event.model_dump_json()
