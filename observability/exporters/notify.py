"""Whoever wants to know is told what happens to a run: a command or a webhook. Knows no process.

Never holds a run up: notices are sent from a thread of their own, and a failure is said once.
"""

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, build_opener

from bus.events import Control, Event, Promotion
from observability.exporters.aside import Aside
from observability.exporters.config import Notice, NotifyConfig
from observability.progress.known import Known

SEND_SECONDS = 10.0
_WAITING = 100


class Notifier:
    """Of the run that `known` is known of. Until it `begin`s, what it hears was said before."""

    def __init__(
        self,
        config: NotifyConfig,
        known: Known,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._known, self._clock = config, known, clock
        self._begun = False
        self._length, self._moved, self._stalled = 0, clock(), False
        self._restarts = 0
        self._aside: Aside[dict[str, Any]] | None = None
        if config:
            self._aside = Aside("a notice was not delivered", self._send, most=_WAITING)

    def begin(self) -> None:
        """What is heard from here on happens."""
        self._begun, self._moved = True, self._clock()
        self.say("started", f"{self._known.recipe} goes on at {_where(self._known)}")

    def hear(self, event: Event) -> None:
        """The next event that is folded."""
        if not self._begun:
            return
        match event:
            case Promotion():
                why = f": {'; '.join(event.reasons)}" if event.reasons else ""
                self.say("decision", f"version {event.weights_version} {event.decision}{why}")
            case Control() if event.finding[0]:
                guard, reason = event.finding
                self.say("decision", f"guard {guard}: {event.command} {event.role}: {reason}")

    def see(self, length: int, restarts: int, last_death: str = "") -> None:
        """How long the log is by now, how often processes were started again, of what."""
        now = self._clock()
        if restarts > self._restarts:
            self.say("restarting", last_death or "a process is started again")
        self._restarts = restarts
        if length != self._length:
            self._length, self._moved, self._stalled = length, now, False
        elif now - self._moved >= self._config.stalled_seconds and not self._stalled:
            self._stalled = True
            self.say("stalled", f"nothing was said for {now - self._moved:.0f} s")

    def end(self, failed: str) -> None:
        """The run has ended; why it came to nothing, "" where it did not."""
        self.say("finished", failed or f"ended at {_where(self._known)}", failed=bool(failed))
        if self._aside is not None:
            self._aside.close(SEND_SECONDS)

    def say(self, notice: Notice, text: str, **more: Any) -> None:
        """Tell it, if anybody wants to know."""
        if self._aside is None or notice not in self._config.on:
            return
        known = self._known
        newest, evaluation = known.newest, known.newest_evaluation
        body = {
            "event": notice,
            "text": text,
            "run": known.run,
            "recipe": known.recipe,
            "version": newest.number if newest else None,
            "held_out": known.held_out_levels.held_out(evaluation) if evaluation else None,
            "at": datetime.now(UTC).isoformat(),
        }
        self._aside.put(body | more)

    def _send(self, body: dict[str, Any]) -> None:
        said = json.dumps(body).encode()
        if self._config.command:
            subprocess.run(
                self._config.command,
                input=said,
                timeout=SEND_SECONDS,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        if self._config.url:
            headers = {"Content-Type": "application/json"}
            request = Request(self._config.url, data=said, headers=headers)
            with build_opener().open(request, timeout=SEND_SECONDS):
                pass


def _where(known: Known) -> str:
    newest, evaluation = known.newest, known.newest_evaluation
    version = f"version {newest.number}" if newest else "its beginning"
    mean = known.held_out_levels.held_out(evaluation) if evaluation else None
    return version if mean is None else f"{version}, held-out accuracy {mean:.1%}"
