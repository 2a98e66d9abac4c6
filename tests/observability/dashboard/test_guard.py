"""Who may ask, and what is answered to whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from evolvent.watching.sources import sources
from observability.dashboard.app import dashboard
from tests.observability.dashboard.asking import HERE, Page

TOKEN = "a-token-of-some-length"
RUNS = "/api/v1/runs"


@pytest.fixture(scope="module")
def guarded(example: Path) -> Iterator[TestClient]:
    app = dashboard(sources([example], None), TOKEN, control=True)
    with TestClient(app, base_url="http://watch.example:8765", follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example:8765",
        "10.0.0.1",
        "",
        "[::1].evil.example:80",
        "[::1",
    ],
)
def test_a_name_that_points_here_reaches_nothing(page: Page, host: str) -> None:
    answer = page.client.get(RUNS, headers={"Host": host})
    assert answer.status_code == 403
    assert "127.0.0.1" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1", "[::1]:8765", "a.localhost"])
def test_names_of_this_machine_do(page: Page, host: str) -> None:
    assert page.client.get(RUNS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999"])
def test_a_page_of_another_origin_is_refused(page: Page, origin: str) -> None:
    assert page.client.get(RUNS, headers={"Origin": origin}).status_code == 403
    assert page.client.get(RUNS, headers={"Origin": HERE}).status_code == 200
    assert page.client.get(RUNS, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_without_a_token_it_only_reads(page: Page) -> None:
    told = page.client.post(f"{RUNS}/example/control", json={"command": "pause"})
    assert told.status_code == 403
    assert "--control" in told.json()["error"]
    assert page.client.patch(f"{RUNS}/example", json={"note": "x"}).status_code == 403
    assert page.get("/session")["read_only"]


def test_every_answer_bears_the_policy(page: Page) -> None:
    for path in ("/", "/api/v1/runs", "/api/nothing", "/static/nothing.js"):
        headers = page.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert page.client.get("/static/../app.py").status_code in (200, 404)
    assert "def dashboard" not in page.client.get("/static/%2e%2e/app.py").text


def test_beyond_this_machine_a_token_is_needed(guarded: TestClient) -> None:
    refused = guarded.get(RUNS)
    assert refused.status_code == 401
    assert "token" in refused.json()["error"]
    assert guarded.get("/").status_code == 401
    wrong = {"Authorization": "Bearer another"}
    assert guarded.get(RUNS, headers=wrong).status_code == 401
    assert guarded.get(f"{RUNS}?token=another").status_code == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get(RUNS, headers=right).status_code == 200


def test_the_address_that_was_printed_opens_the_page_once(example: Path) -> None:
    app = dashboard(sources([example], None), TOKEN, control=True)
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:
        entered = client.get(f"//evil.example/?at=3&token={TOKEN}")
        assert entered.status_code == 303
        assert entered.headers["location"].startswith("/")
        assert not entered.headers["location"].startswith("//")
        assert TOKEN not in entered.headers["location"]
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get(RUNS).status_code == 200
        assert client.get("/api/v1/session").json()["control"]


def test_who_bears_the_token_tells_the_roles(example: Path) -> None:
    app = dashboard(sources([example], None), TOKEN, control=True)
    bearing = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, base_url=HERE, headers=bearing) as client:
        path = f"{RUNS}/example/control"
        told = client.post(path, json={"command": "pause", "role": "solver"})
        assert told.status_code == 200, told.text
        found = client.get(f"{RUNS}/example/events/one", params={"id": told.json()["id"]})
        assert found.json()["body"]["command"] == "pause"
        assert "no role" in client.post(path, json={"command": "stop", "role": "x"}).json()["error"]
        assert client.post(path, json={"command": "start"}).status_code == 400
        assert (
            client.post(path, content=b"{", headers={"Content-Type": "text/plain"}).status_code
            == 415
        )
        half = client.patch(
            f"{RUNS}/example",
            content=rb'{"note": "\ud800"}',
            headers={"Content-Type": "application/json"},
        )
        assert half.status_code == 400
        assert client.get(RUNS).status_code == 200
        deep = client.patch(
            f"{RUNS}/example", content=b"[" * 9999, headers={"Content-Type": "application/json"}
        )
        assert (deep.status_code, deep.json()["error"]) == (400, "send one JSON object")
        stranger = {"Origin": "http://evil.example"}
        assert client.post(path, json={"command": "stop"}, headers=stranger).status_code == 403
        changed = client.patch(f"{RUNS}/example", json={"tags": ["a", "a"], "note": " best "})
        assert (changed.json()["tags"], changed.json()["note"]) == (["a"], "best")
        assert client.patch(f"{RUNS}/example", json={"note": "x" * 9999}).status_code == 409


def test_a_token_alone_changes_nothing(example: Path) -> None:
    app = dashboard(sources([example], None), TOKEN)
    bearing = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, base_url=HERE, headers=bearing) as client:
        assert client.get("/api/v1/session").json()["read_only"]
        refused = client.post(f"{RUNS}/example/control", json={"command": "pause"})
        assert (refused.status_code, "--control" in refused.json()["error"]) == (403, True)
