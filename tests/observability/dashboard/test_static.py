"""What a browser gets: libraries as published, no markup from strings, nothing from elsewhere."""

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import observability

STATIC = Path(observability.__file__).parent / "dashboard" / "static"
VENDOR = STATIC / "vendor"
OURS = sorted(
    path
    for path in STATIC.rglob("*")
    if path.suffix in {".js", ".css", ".html", ".svg"} and VENDOR not in path.parents
)
FORBIDDEN = {
    "markup from a string": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write",
    "code from a string": r"\beval\(|new Function\(",
    "a style that the policy refuses": r"<[^>]*\sstyle=\"",
    "an address elsewhere": r"https?://(?!www\.w3\.org/2000/svg)",
}


def entries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text("utf-8"))["files"]
    return found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_libraries_are_as_they_were_published() -> None:
    for entry in entries():
        content = (VENDOR / entry["file"]).read_bytes()
        assert digest(content) == entry["sha256"], entry["file"]
        if changed := entry.get("changed"):
            published = content.replace(changed["to"].encode(), changed["from"].encode())
            assert digest(published) == entry["sha256_published"], entry["file"]


def test_every_library_is_in_the_manifest_with_its_licence() -> None:
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert there == {entry["file"] for entry in entries()} | {"manifest.json"}
    assert all((VENDOR / name.split("/")[0] / "LICENSE").exists() for name in there if "/" in name)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_a_file_asks_nothing_of_others_and_writes_no_markup_from_strings(path: Path) -> None:
    text = path.read_text("utf-8")
    for what, pattern in FORBIDDEN.items():
        assert not re.search(pattern, text), what


@pytest.mark.parametrize(
    "path",
    [path for path in OURS if path.suffix == ".js"],
    ids=lambda path: path.relative_to(STATIC).as_posix(),
)
def test_what_a_module_imports_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    for name in re.findall(r"(?:\bfrom |\bimport\()\"([^\"]+)\"", text):
        assert name.startswith("."), name
        assert (path.parent / name).resolve().is_file(), name


def test_what_the_page_names_is_there() -> None:
    class Named(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.names: list[str] = []

        def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
            self.names += [value or "" for key, value in attributes if key in {"src", "href"}]

    page = Named()
    page.feed((STATIC / "index.html").read_text("utf-8"))
    assert page.names
    assert not [name for name in page.names if not (STATIC / name[len("/static/") :]).is_file()]
