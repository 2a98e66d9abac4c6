"""What a process shows of itself to whoever collects: set up where the environment asks for it, and
ended with the process. Loads the SDK only then.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from evolvent.errors import UsageError
from evolvent.watching.lines import check_lines
from observability.telemetry.wanted import TelemetryError, Wanted, wanted

if TYPE_CHECKING:
    from observability.telemetry.telemetry import Telemetry


def asked_for() -> Wanted:
    """What the environment asks to be exported. Raises `UsageError` for what cannot be done, and
    for lines of a log that there are not."""
    check_lines()
    try:
        return wanted()
    except TelemetryError as error:
        raise UsageError(str(error)) from None


@contextmanager
def observed(run: str, name: str, *, replay: str = "") -> "Iterator[Telemetry | None]":
    """For as long as the context lasts a process `name` of a `run` is seen, if anybody asks; what
    it does for a `replay` is marked. Raises `UsageError`."""
    asked = asked_for()
    if not asked:
        yield None
        return
    from observability.metrics.push import reader
    from observability.telemetry.telemetry import Telemetry

    telemetry = Telemetry(asked, run, name, replay)
    if asked.metrics:
        telemetry.measure([reader()])
    try:
        yield telemetry
    finally:
        telemetry.close()


def replayed(run: str) -> "AbstractContextManager[Telemetry | None]":
    """The same for whoever does something of a run again, under a name of its own."""
    return observed(run, "replay", replay=uuid4().hex[:16])
