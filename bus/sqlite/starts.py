"""Where partitions begin that were trimmed: a table that is there once one was. Knows no record."""

from typing import Any

import apsw

from bus.groups import Stream

TABLE = """
CREATE TABLE IF NOT EXISTS start (
    topic TEXT NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) WITHOUT ROWID
"""


def starts(connection: apsw.Connection) -> dict[Stream, int]:
    """The first record of each partition that has lost its beginning."""
    if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'start'").get:
        return {}
    rows: Any = connection.execute("SELECT topic, part, first FROM start")
    return {(topic, part): first for topic, part, first in rows}
