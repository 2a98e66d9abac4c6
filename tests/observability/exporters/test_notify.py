"""Who wants to know of a run is told, by a command or over HTTP, and never holds it up."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bus.events import Control, Promotion, derive_id
from observability.exporters.config import NotifyConfig
from observability.exporters.notify import Notifier
from observability.progress.progress import Progress
from tests.observability.known import progress_of
from tests.observability.story import RUN, Story, weights_id


@contextmanager
def webhook(seconds: float = 0.0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where to post, and what came."""
    came: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(seconds)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def known() -> Progress:
    return progress_of(Story(versions=3).events())


def promotion(decision: str) -> Promotion:
    return Promotion.model_validate(
        {
            "id": derive_id(RUN, "gate", decision),
            "run": RUN,
            "agent": "gate",
            "weights": weights_id(3),
            "weights_version": 3,
            "decision": decision,
            "reasons": ["it is worse"],
        }
    )


def pause() -> Control:
    return Control(
        id=derive_id(RUN, "guard", "1"),
        run=RUN,
        agent="guard",
        command="pause",
        role="trainer",
        guard="floor",
        reason="entropy fell",
    )


def test_all_that_happens_is_told_in_its_order() -> None:
    now = [0.0]
    with webhook() as (url, came):
        config = NotifyConfig(url=url, stalled_seconds=60)
        notifier = Notifier(config, known(), lambda: now[0])
        notifier.hear(promotion("promoted"))  # before the start
        notifier.begin()
        notifier.see(10, 0)
        notifier.see(10, 1, "solver: MemoryError")
        now[0] = 61.0
        for _ in range(3):
            notifier.see(10, 1)
        notifier.hear(promotion("rejected"))
        notifier.hear(pause())
        notifier.end("")
    assert [one["event"] for one in came] == [
        *("started", "restarting", "stalled", "decision", "decision", "finished")
    ]
    assert [one["text"] for one in came[1:5]] == [
        "solver: MemoryError",
        "nothing was said for 61 s",
        "version 3 rejected: it is worse",
        "guard floor: pause trainer: entropy fell",
    ]
    assert {(one["run"], one["recipe"], one["version"]) for one in came} == {(RUN, "words", 3)}
    assert came[-1]["failed"] is False and 0 <= came[-1]["held_out"] <= 1


def test_a_command_gets_the_notice_on_its_standard_input(tmp_path: Path) -> None:
    said = tmp_path / "said.jsonl"
    script = f"import sys; open({str(said)!r}, 'a').write(sys.stdin.read() + chr(10))"
    config = NotifyConfig(command=(sys.executable, "-c", script), on=("started", "finished"))
    notifier = Notifier(config, known())
    notifier.begin()
    notifier.hear(promotion("promoted"))
    notifier.end("the disk is full")
    told = [json.loads(line) for line in said.read_text().splitlines()]
    assert [(one["event"], one.get("failed")) for one in told] == [
        ("started", None),
        ("finished", True),
    ]
    assert told[1]["text"] == "the disk is full"


@pytest.mark.parametrize(
    "config",
    [
        NotifyConfig(url="http://127.0.0.1:9/nobody"),
        NotifyConfig(command=("/nonesuch/program",)),
        NotifyConfig(command=(sys.executable, "-c", "raise SystemExit(3)")),
    ],
)
def test_what_cannot_be_delivered_is_said_once(
    config: NotifyConfig, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(config, known())
    notifier.begin()
    notifier.hear(pause())
    notifier.end("")
    assert caplog.text.count("a notice was not delivered") == 1


def test_a_slow_webhook_holds_nobody_up() -> None:
    with webhook(seconds=5.0) as (url, _):
        notifier = Notifier(NotifyConfig(url=url), known())
        began = time.monotonic()
        notifier.begin()
        for _ in range(200):
            notifier.hear(pause())
        assert time.monotonic() - began < 4.5


def test_nobody_is_told_where_nobody_asks() -> None:
    notifier = Notifier(NotifyConfig(), known())
    notifier.begin()
    notifier.see(1, 3)
    notifier.end("")
    assert not NotifyConfig()
