"""What is held against every page is seen: on pages made up here, under the strictest policy."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.accessible import AXE, serious_faults
from tests.browser.chromium import VARIABLE, executable
from tests.browser.pictures import look
from tests.browser.visitor import Visitor

PAGES = {
    "good.html": '<main><h1>Good</h1><a href="#">to the top</a></main>',
    "elsewhere.html": '<main><h1>Elsewhere</h1><img alt="" src="http://example.com/x.png"></main>',
    "inline.html": "<main><h1>Inline</h1></main><script>document.title = 'x'</script>",
    "throws.html": '<main><h1>Throws</h1></main><script src="throws.js"></script>',
    "throws.js": "throw new Error('as told')",
    "unnamed.html": "<main><h1>Unnamed</h1><button></button></main>",
    "wide.html": f"<main><h1>{'wide' * 200}</h1></main>",
}
HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>'


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "default-src 'self'; img-src *")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pages")
    for name, text in PAGES.items():
        (folder / name).write_text(text if name.endswith("js") else HEAD + text, encoding="utf-8")
    (folder / "favicon.ico").write_bytes(b"")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    runs = threading.Thread(target=server.serve_forever)
    runs.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    runs.join()


@pytest.fixture
def visitor(chromium: Browser) -> Visitor:
    """One whose faults a test looks at itself."""
    return Visitor(chromium)


def test_a_page_without_a_fault_has_none(pages: str, visit: Visitor) -> None:
    page = visit(f"{pages}/good.html")
    expect(page.get_by_role("heading")).to_have_text("Good")
    assert not serious_faults(page)


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("elsewhere", "external request: http://example.com/x.png"),
        ("inline", "Content Security Policy"),
        ("throws", "error: as told"),
    ],
)
def test_what_no_page_may_do_is_told(pages: str, visitor: Visitor, page: str, fault: str) -> None:
    expect(visitor(f"{pages}/{page}.html").get_by_role("heading")).to_be_visible()
    assert any(fault in one for one in visitor.faults)
    visitor.expected += ["console", "external", "error"]
    assert not visitor.faults
    visitor.leave()


def test_a_button_without_a_name_is_a_serious_fault(pages: str, visit: Visitor) -> None:
    [fault] = serious_faults(visit(f"{pages}/unnamed.html"))
    assert fault.startswith("button-name") and "<button></button>" in fault


def test_a_page_that_leaves_the_screen_sideways_is_refused(pages: str, visit: Visitor) -> None:
    with pytest.raises(AssertionError, match="pixels too wide"):
        look(visit(f"{pages}/wide.html"), "wide")


def test_without_chromium_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/chromium")
    with pytest.raises(FileNotFoundError, match="apt-get install chromium-headless-shell"):
        executable()


def test_axe_is_as_it_was_published() -> None:
    vendor = AXE.parents[1]
    lines = (vendor / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    there = {path.relative_to(vendor).as_posix(): path for path in Path(AXE.parent).iterdir()}
    found = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    assert found == listed
