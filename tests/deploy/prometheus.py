"""A real Prometheus, of the distribution, on loopback. Downloads nothing."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from harness.broker import free_port

START_SECONDS = 60.0


def program(name: str) -> str:
    """Where one of Prometheus' programs is; raises `FileNotFoundError` with what to do."""
    if (found := which(name)) is None:
        raise FileNotFoundError(f"{name} is not there: `apt-get install prometheus`")
    return found


class Prometheus:
    """Asked by its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **asked: str) -> Any:
        with urlopen(f"{self._url}/api/v1/{path}?{urlencode(asked)}", timeout=10) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        return said["data"]

    def ask(self, expression: str) -> list[Any]:
        found: list[Any] = self.get("query", query=expression)["result"]
        return found

    def wait_for(self, expression: str, seconds: float = START_SECONDS) -> list[Any]:
        """What it answers as soon as that is anything."""
        deadline = time.monotonic() + seconds
        while not (found := self.ask(expression)):
            assert time.monotonic() < deadline, f"nothing came of {expression}"
            time.sleep(0.2)
        return found


@contextmanager
def prometheus(folder: Path, rules: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """Scrapes `targets` every half second, by the alerts of `rules`."""
    settings = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "evolvent", "static_configs": [{"targets": [*targets]}]}],
    }
    config = folder / "prometheus.yml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, folder / "prometheus.log")
        yield Prometheus(url)
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/-/ready", timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-2000:])
