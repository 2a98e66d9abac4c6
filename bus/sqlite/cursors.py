"""How far groups have come, as the table `cursor` says it. Knows no member."""

from collections.abc import Iterator

import apsw

from bus.cursor import Cursor
from bus.errors import BusError
from bus.groups import Stream
from bus.records import Lag
from bus.sqlite import former
from bus.sqlite.log import all_heads


def cursor_of(group: str, stream: Stream, base: int, text: str) -> Cursor:
    """As the columns `base` and `done` hold it; raises `BusError`."""
    try:
        return former.decode(text, base)
    except ValueError as error:
        raise BusError(
            f"The cursor of group {group!r} on {stream[0]}/{stream[1]} is damaged ({error}): "
            "restore the log from a copy."
        ) from None


def all_cursors(connection: apsw.Connection, group: str) -> Iterator[tuple[Stream, Cursor]]:
    query = "SELECT topic, part, base, done FROM cursor WHERE grp = ?"
    for topic, part, base, text in connection.execute(query, (group,)):
        yield (topic, part), cursor_of(group, (topic, part), base, text)


def all_lags(connection: apsw.Connection, group: str) -> Iterator[Lag]:
    heads = dict(all_heads(connection))
    query = "SELECT topic, part, base, done, epoch, owner FROM cursor WHERE grp = ?"
    for topic, part, base, text, epoch, owner in connection.execute(query, (group,)):
        cursor = cursor_of(group, (topic, part), base, text)
        yield Lag(
            topic=topic,
            partition=part,
            base=cursor.base,
            done=cursor.num_done,
            end=heads[topic, part],
            epoch=epoch,
            owner=owner,
        )


def group_names(connection: apsw.Connection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT grp FROM cursor ORDER BY grp")
    return [group for (group,) in rows]
