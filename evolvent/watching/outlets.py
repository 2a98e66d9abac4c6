"""Where a run is told of besides its log: meters, curves, notices; and what that needs."""

from pathlib import Path

from bus.events import Event
from evolvent.errors import UsageError
from evolvent.recipe.recipe import Recipe
from evolvent.watching.observed import asked_for
from observability.exporters.curves import Curves
from observability.exporters.notify import Notifier
from observability.metrics.meter import Meter
from observability.metrics.push import observe
from observability.progress.known import Known


def check(recipe: Recipe) -> None:
    """Raises `UsageError` for curves that go to what is not installed."""
    if missing := recipe.curves.missing():
        raise UsageError(
            f'curves.to = ["{missing}"] needs the extra `{missing}`: `uv sync --extra {missing}`'
        )


class Outlets:
    """All that hear what is folded of the log of a run in a folder, in the order that it is. To be
    made where the process is `observed`."""

    def __init__(self, recipe: Recipe, folder: Path, name: str, meter: Meter | None = None) -> None:
        self.meter = meter or Meter(asked=False)
        if asked_for().metrics:
            self.meter.asked = True
            observe(self.meter)
        self.curves = Curves(recipe.curves, folder, name)
        self._config = recipe.notify
        self._notifier: Notifier | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody hears of it."""
        return self.meter.asked or self.curves.wanted or bool(self._config)

    def about(self, known: Known) -> None:
        """What is heard goes on to be known there."""
        self._notifier = Notifier(self._config, known)

    @property
    def notifier(self) -> Notifier:
        assert self._notifier is not None
        return self._notifier

    def hear(self, event: Event) -> None:
        self.meter.hear(event)
        self.curves.hear(event)
        self.notifier.hear(event)

    def end(self, failed: str = "") -> None:
        """Tell the last of it; waits for what is slow no longer than a while."""
        self.notifier.end(failed)
        self.curves.close()
