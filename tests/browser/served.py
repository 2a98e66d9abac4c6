"""The dashboard as a user starts it: a process of its own, at a port that stays the same when it is
started again."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from harness.broker import free_port
from harness.runs import command, last_words, launch

START_SECONDS, END_SECONDS = 60, 20


class Served:
    """`evolvent dashboard` on some runs, at `url`."""

    def __init__(self, printed: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._printed = printed
        self._command: Sequence[str] = command("dashboard", *arguments, "--port", str(self.port))
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        self._process = launch(self._printed, self._command, None)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(last_words(self._printed))
            time.sleep(0.05)

    def asked(self, path: str) -> Any:
        """What the API answers."""
        with urlopen(f"{self.url}/api/v1{path}", timeout=START_SECONDS) as answer:
            return json.load(answer)

    def read(self) -> None:
        """Returns when it knows all that its logs hold."""
        end = time.monotonic() + START_SECONDS
        while not all(run["index"]["ready"] for run in self.asked("/runs")["runs"]):
            assert time.monotonic() < end, "the logs are still being read"
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(END_SECONDS)

    def _answers(self) -> bool:
        try:
            with urlopen(self.url, timeout=5) as answer:
                return bool(answer.status == 200)
        except HTTPError as error:
            return error.code == 401
        except (URLError, ConnectionError, TimeoutError):
            return False
