"""What one request asks: its parameters, what is wrong with them in a sentence. Knows no run."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MOST = 500
_LIMIT = 50


class Wrong(Exception):
    """An answer with this status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Words:
    """The parameters of a request, by name; several of one name as a list."""

    def __init__(self, path: Mapping[str, str], query: list[tuple[str, str]]) -> None:
        self._path, self._query = path, query

    def path(self, name: str) -> str:
        return self._path[name]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._query if key == name and value]

    def text(self, name: str) -> str | None:
        found = self.all(name)
        return found[-1] if found else None

    def choice(self, name: str, *choices: str) -> str | None:
        """One of `choices`; None where it is not said."""
        said = self.text(name)
        if said is not None and said not in choices:
            raise Wrong(400, f"{name}={said[:60]}: there is {', '.join(choices)}")
        return said

    def whole(self, name: str, low: int = 0, high: int = 1 << 53) -> int | None:
        """A whole number; None where it is not said."""
        said = self.text(name)
        if said is None:
            return None
        try:
            number = int(said)
        except ValueError:
            raise Wrong(400, f"{name}={said[:60]} is no whole number") from None
        if not low <= number <= high:
            raise Wrong(400, f"{name}={number} must lie between {low} and {high}")
        return number

    def real(self, name: str) -> float | None:
        said = self.text(name)
        try:
            return None if said is None else float(said)
        except ValueError:
            raise Wrong(400, f"{name}={said and said[:60]} is no number") from None

    def time(self, name: str) -> float | None:
        """Seconds since 1970 of a time as ISO 8601 has it, of UTC where it says no zone."""
        said = self.text(name)
        if said is None:
            return None
        try:
            time = datetime.fromisoformat(said)
        except ValueError:
            raise Wrong(400, f"{name}={said[:60]}: write a time as 2026-11-29T20:15") from None
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

    @property
    def limit(self) -> int:
        return self.whole("limit", 1, MOST) or _LIMIT

    @property
    def cursor(self) -> list[Any]:
        """What `cursor_of` was given; empty at the beginning of a list."""
        said = self.text("cursor")
        if said is None:
            return []
        try:
            found = json.loads(said)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(map(_is_of_a_cursor, found)):
            raise _not_a_cursor()
        return found

    @property
    def start(self) -> int:
        """Where the next page begins, of a list whose cursor is a number."""
        found = self.cursor
        if not found:
            return 0
        if type(found[0]) is not int or found[0] < 0:
            raise _not_a_cursor()
        return found[0]


def _is_of_a_cursor(one: Any) -> bool:
    """What SQLite and JSON have alike."""
    if isinstance(one, str):
        return one.isprintable()
    return type(one) in (int, float) and abs(one) < 2**53


def _not_a_cursor() -> Wrong:
    return Wrong(400, "cursor: give back what `next` said")


def cursor_of(*values: float | str) -> str:
    return json.dumps(values, separators=(",", ":"))


def iso(seconds: float | None) -> str | None:
    """A time as the page gets it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
