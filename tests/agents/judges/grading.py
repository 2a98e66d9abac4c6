"""A judge behind HTTP for tests: a real server on loopback that answers by a script."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes]
Script = Callable[[dict[str, Any]], Answer]


def completion(text: str | None, model: str = "grader-1") -> Answer:
    """As OpenAI's API says it."""
    message = {"role": "assistant", "content": text}
    return 200, json.dumps({"model": model, "choices": [{"message": message}]}).encode()


def says(text: str | None) -> Script:
    return lambda body: completion(text)


@dataclass
class Grader:
    """`script` answers each request; `asked` are the bodies and `headers` what came with them."""

    script: Script
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def grader(script: Script, port: int = 0) -> Iterator[Grader]:
    found = Grader(script)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append(body)
            found.headers.append(dict(self.headers))
            found.paths.append(self.path)
            status, data = found.script(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(BrokenPipeError):  # who asked waits no longer
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
