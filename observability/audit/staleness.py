"""That nothing was learned from that is staler than the recipe allows, or from the future.

The header `ce_modelversion` of a judgment is the oldest version that drew what may be learned from
in it. Where the header is absent the body is read, and nobody's word is taken for it: either
nothing in it may be learned from, then nothing can be stale; or the log is of another make, that
does without the header, and the spans say the version.
"""

from collections.abc import Callable

from bus.errors import BusError, Unreadable
from bus.events import Judgment
from bus.log import Log
from observability.audit.facts.chains import Chains
from observability.audit.facts.pages import NO_VERSION
from observability.audit.findings import Findings
from observability.audit.scanned import Part


class Staleness:
    """`allowed` is what the recipe of a version says, None while no start event on the log says it;
    of several policies the `chains` say which versions age an answer."""

    def __init__(
        self,
        log: Log,
        allowed: Callable[[int], int | None],
        chains: Chains,
        findings: Findings,
    ) -> None:
        self._chains = chains
        self._log = log
        self._allowed = allowed
        self._findings = findings

    def check(self, event_id: str, number: int, part: Part, offset: int, version: int) -> None:
        """Of a judgment on `part` that version `number` was trained on; its header names
        `version`."""
        name = f"version {number} was trained on judgment {event_id}"
        try:
            drawn = version if version != NO_VERSION else self._drawn(part, offset)
        except Unreadable as error:
            self._findings.violate("I11", f"{name}, which cannot be read: {error}")
            return
        if drawn is None:
            return
        name = f"{name}, drawn by version {drawn}"
        staleness, allowed = self._chains.age(drawn, number - 1), self._allowed(number)
        if drawn > number - 1:
            self._findings.violate("I11", f"{name}, which did not exist")
        elif allowed is not None and staleness > allowed:
            self._findings.violate(
                "I11", f"{name}: {staleness} versions old, {allowed} are allowed"
            )

    def _drawn(self, part: Part, offset: int) -> int | None:
        """None where nothing may be learned from."""
        try:
            found = next(self._log.read(*part.stream, offset, offset + 1), None)
        except BusError as error:
            raise Unreadable(str(error)) from None
        event = None if found is None else found.event()
        if not isinstance(event, Judgment):
            raise Unreadable("it is missing" if event is None else f"it is a {event.type()}")
        return event.attempt.oldest_version
