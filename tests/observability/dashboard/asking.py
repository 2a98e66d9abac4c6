"""A dashboard, asked as a browser asks it."""

import time
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

    def wait(self, run: str, seconds: float = 30.0) -> None:
        """Until a run is read to its end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = {one["id"]: one for one in self.get("/runs")["runs"]}[run]
            if found["index"]["ready"] and found["index"]["events"] and not found["error"]:
                return
            time.sleep(0.05)
        raise AssertionError(f"{run} was not read: {found}")
