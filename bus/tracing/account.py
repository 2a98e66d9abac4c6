"""What a group has done, a line in the log whenever a newer version reaches it. Knows no role."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from bus.events import Event
from bus.records import Delivery

_log = logging.getLogger(__name__)


class Account:
    """Of one group, since its last line."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._version = -1
        self._answered = 0
        self._rejected = 0
        self._said: Counter[str] = Counter()
        self._since = time.monotonic()

    def add(self, delivery: Delivery, outputs: Sequence[Event], *, rejected: bool) -> None:
        """A delivery is done. What is about the first version that is newer ends the line before
        it."""
        version = delivery.record.headers.get("ce_modelversion", "")
        if version.isdecimal() and int(version) > self._version:
            self._tell()
            self._version = int(version)
        self._answered += 1
        self._rejected += rejected
        self._said.update(output.channel for output in outputs)

    def _tell(self) -> None:
        if not self._answered:
            return
        said = ", ".join(f"{count} {channel}" for channel, count in sorted(self._said.items()))
        now = time.monotonic()
        _log.info(
            "%s, version %d: %d answered in %.2f s%s%s",
            *(self._group, self._version, self._answered, now - self._since),
            f" by {said}" if said else "",
            f", {self._rejected} rejected" if self._rejected else "",
        )
        self._answered = self._rejected = 0
        self._said.clear()
        self._since = now
