"""Groups as the tables `cursor` and `member` hold them: loaded for the fold of `bus.groups`, and
stored again. Knows no clock.
"""

from typing import Any, NamedTuple

import apsw

from bus.cursor import Cursor
from bus.errors import BusError
from bus.groups import Group, Holding, Member, Stream
from bus.sqlite import former


class Beating(NamedTuple):
    """A member and the number of its last beat."""

    member: Member
    beat: float


def load(connection: apsw.Connection, name: str) -> Group:
    """Raises `BusError` when a cursor is damaged."""
    rows: Any = connection.execute(
        "SELECT topic, part, base, done, epoch, owner FROM cursor WHERE grp = ?", (name,)
    )
    return Group(
        holdings={
            (topic, part): Holding(cursor_of(name, (topic, part), base, done), epoch, owner)
            for topic, part, base, done, epoch, owner in rows
        },
        members={one.member.name: one.member for one in members_of(connection, name)},
    )


def store(connection: apsw.Connection, name: str, group: Group) -> bool:
    """Owners, epochs and members; whether one of them has changed. The cursors stay."""
    before = load(connection, name)
    gone = [known for known in before.members if known not in group.members]
    come = [one for one in group.members.values() if one != before.members.get(one.name)]
    moved = [
        (held.epoch, held.owner, name, *stream)
        for stream, held in group.holdings.items()
        if (held.epoch, held.owner) != _owner(before.holdings.get(stream))
    ]
    connection.executemany(
        "DELETE FROM member WHERE grp = ? AND member = ?", [(name, one) for one in gone]
    )
    connection.executemany(
        "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, 0)",
        [
            (name, one.name, one.instance, "\n".join(sorted(one.topics)), one.exclusive)
            for one in come
        ],
    )
    connection.executemany(
        "INSERT INTO cursor (epoch, owner, grp, topic, part) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (grp, topic, part) DO UPDATE SET epoch = excluded.epoch, "
        "owner = excluded.owner",
        moved,
    )
    if not (gone or come or moved):
        return False
    connection.execute(
        "INSERT INTO generation VALUES (?, 1) ON CONFLICT (grp) DO UPDATE SET number = number + 1",
        (name,),
    )
    return True


def _owner(held: Holding | None) -> tuple[int, str] | None:
    return None if held is None else (held.epoch, held.owner)


def generation_of(connection: apsw.Connection, name: str) -> int:
    """A number that grows whenever members or owners of a group change."""
    return connection.execute("SELECT number FROM generation WHERE grp = ?", (name,)).get or 0


def members_of(connection: apsw.Connection, name: str) -> list[Beating]:
    """Dead or alive."""
    # `lease_until` has this name in files of every age: it holds the number of the last beat.
    rows: Any = connection.execute(
        "SELECT member, instance, topics, exclusive, lease_until FROM member WHERE grp = ? "
        "ORDER BY member",
        (name,),
    )
    return [
        Beating(
            Member(
                name=member,
                instance=instance,
                topics=frozenset(topics.split("\n")),
                exclusive=bool(exclusive),
            ),
            beat,
        )
        for member, instance, topics, exclusive, beat in rows
    ]


def cursor_of(name: str, stream: Stream, base: int, text: str) -> Cursor:
    """As the columns `base` and `done` hold it; raises `BusError`."""
    try:
        return former.decode(text, base)
    except ValueError as error:
        raise BusError(
            f"The cursor of group {name!r} on {stream[0]}/{stream[1]} is damaged ({error}): "
            "restore the log from a copy."
        ) from None


def group_names(connection: apsw.Connection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT grp FROM cursor ORDER BY grp")
    return [group for (group,) in rows]
