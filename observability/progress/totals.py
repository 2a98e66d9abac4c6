"""What all versions of a run amount to, folded as they come. Knows no log."""

from dataclasses import dataclass

from observability.progress.facts import Version


@dataclass(slots=True, kw_only=True)
class Totals:
    """Sums over versions; `timed_tokens` and `timed_seconds` of those whose speed is known, and
    the staleness of those that say it."""

    trained: int = 0
    dropped: int = 0
    samples: float = 0.0
    tokens: float = 0.0
    skipped: float = 0.0
    seconds: float = 0.0
    timed_tokens: float = 0.0
    timed_seconds: float = 0.0
    staleness_max: float | None = None
    _staleness: float = 0.0
    _stale: int = 0

    def add(self, version: Version) -> None:
        self.trained += version.trained
        self.dropped += version.dropped
        self.samples += version.metric("samples") or 0.0
        self.tokens += version.metric("tokens") or 0.0
        self.skipped += version.metric("skipped") or 0.0
        self.seconds += version.seconds or 0.0
        if version.tokens_per_second is not None:
            self.timed_tokens += version.metric("tokens") or 0.0
            self.timed_seconds += version.seconds or 0.0
        if (mean := version.metric("staleness_mean")) is not None:
            self._staleness, self._stale = self._staleness + mean, self._stale + 1
        if (most := version.metric("staleness_max")) is not None:
            self.staleness_max = max(most, self.staleness_max or most)

    @property
    def staleness_mean(self) -> float | None:
        """In versions, over the versions that say it."""
        return self._staleness / self._stale if self._stale else None
