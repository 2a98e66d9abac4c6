"""The tables of a log, by name."""

from observability.query.asked import ASKED
from observability.query.columns import Table
from observability.query.learned import LEARNED

TABLES: dict[str, Table] = {table.name: table for table in (*ASKED, *LEARNED)}
