"""The tables of a log, by name, and what of a log they take. Knows no Arrow and no SQL."""

from bus.errors import Unreadable
from bus.events import EVENTS, Event
from bus.records import Record
from observability.query.asked import ASKED
from observability.query.columns import Table
from observability.query.learned import LEARNED

TABLES: dict[str, Table] = {table.name: table for table in (*ASKED, *LEARNED)}

_SAID_ON = {one.topic: one for one in EVENTS.values()}


def event_of(record: Record) -> Event | None:
    """The event of a record; None where it cannot be read."""
    try:
        return record.event()
    except Unreadable:
        return None


def is_said_on(topic: str, event: Event) -> bool:
    """Whether an event is of the kind that tables of a topic are made of."""
    expected = _SAID_ON.get(topic)
    return expected is None or isinstance(event, expected)
