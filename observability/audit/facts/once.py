"""What is said of a version once, by whom: little for a long chain. Knows no log."""

from collections.abc import Iterable

from bus.cursor import Cursor
from observability.audit.facts.snapshot import Done


class Once:
    """Which versions an agent has said something of that it says once, by what it is: `said` a
    topic, `decided` so."""

    def __init__(self) -> None:
        self._cursors: dict[tuple[str, str], Cursor] = {}

    def add(self, what: str, agent: str, offsets: Iterable[int]) -> None:
        done = self._cursors.get((what, agent), Cursor())
        self._cursors[what, agent] = done.advance(offsets)

    def has(self, what: str, agent: str, offset: int) -> bool:
        done = self._cursors.get((what, agent))
        return done is not None and done.is_done(offset)

    def anyone(self, what: str, offset: int) -> bool:
        """Whether any agent has."""
        found = (done for (said, _), done in self._cursors.items() if said == what)
        return any(done.is_done(offset) for done in found)

    def among(self, what: str, low: int, high: int) -> set[int]:
        """The versions in [low, high) of which any agent has."""
        return {offset for offset in range(low, high) if self.anyone(what, offset)}

    def stored(self) -> dict[str, dict[str, Done]]:
        found: dict[str, dict[str, Done]] = {}
        for (what, agent), done in sorted(self._cursors.items()):
            found.setdefault(what, {})[agent] = Done(base=done.base, runs=list(done.runs))
        return found

    @classmethod
    def of(cls, stored: dict[str, dict[str, Done]]) -> "Once":
        once = cls()
        for what, agents in stored.items():
            for agent, done in agents.items():
                once._cursors[what, agent] = done.cursor()
        return once
