"""A dashboard, asked as a browser asks it."""

import time
from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

HERE = "http://127.0.0.1:8765"


class Page:
    """Asks, and wants JSON."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        answer = self.client.get(f"/api/v1{path}", params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    def wait(self, run: str) -> None:
        """Until a run is read to its end."""

        def is_read() -> bool:
            found = {one["id"]: one for one in self.get("/runs")["runs"]}[run]
            return bool(found["index"]["ready"] and found["index"]["events"] and not found["error"])

        self.until(is_read)

    def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """It holds soon."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, self.get("/runs")
            time.sleep(0.05)
