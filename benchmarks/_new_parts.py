"""How many existing files a new part changes: the example of its page, in a copy of the packages,
once as a plug-in and once inside the tree. Knows no bar.

A page `docs/adding-a-KIND.md` has one whole example, a python block that begins with the name of
its file (`# my_judge.py`), and a section "Inside the tree" that names the folder it belongs to
(`agents/judges/my_judge.py`) and has one diff for every file that must change.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PLUGGED = ("domain", "source", "sampler", "judge", "filter", "update", "role")
"""Kinds of which a plug-in may bring parts."""

KINDS = (*PLUGGED, "engine", "transport")

PYTHON = (sys.executable, "-P")
"""Without the folder of the program, where `bus.py` would hide the package `bus`."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## Inside the tree\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"`((?:\w+/)+)(?:my_\w+\.py)?`")
_TYPE = re.compile(r'\btype: Literal\["([\w-]+)"\]')
_ACCEPTS = Path(__file__).with_name("_accepts.py")

Figure = int | str | None
"""Existing files that were changed; None where the page is missing, or no plug-in can bring such a
part; the words with which the example was refused."""


class Refused(Exception):
    """The example is not what its page says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """`type` is what a recipe calls the part; `place` its folder inside the tree, if the page
    names one, and `diffs` what else changes there."""

    kind: str
    file: str
    code: str
    type: str
    place: str | None
    diffs: tuple[str, ...]


def files_per_new_part(root: Path, packages: Sequence[str]) -> dict[str, dict[str, Figure]]:
    """For every kind of part, as a plug-in and inside the tree."""
    return {kind: _files_per(kind, root, packages) for kind in KINDS}


def _files_per(kind: str, root: Path, packages: Sequence[str]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"plugin": None, "tree": None}
    example = read_example(kind, root / "docs")
    if example is None:
        return figures
    for way, put in (("plugin", _as_plugin), ("tree", _inside_the_tree)):
        with _copied(root, packages) as copy:
            before = _digests(copy)
            try:
                if not put(example, copy):
                    continue
            except Refused as refused:
                figures[way] = str(refused)
                continue
            after = _digests(copy)
            figures[way] = sum(after.get(name) != digest for name, digest in before.items())
    return figures


def read_example(kind: str, docs: Path) -> Example | None:
    """The example of `adding-a-KIND.md`, or `adding-an-KIND.md`."""
    for page in sorted(docs.glob(f"adding-a*-{kind}.md")):
        text = page.read_text(encoding="utf-8")
        for language, code in _BLOCK.findall(text):
            named = re.match(r"# (my_\w+\.py)\n", code)
            if language == "python" and named:
                section = "".join(_SECTION.findall(text))
                place, called = _PLACE.search(_BLOCK.sub("", section)), _TYPE.search(code)
                blocks = _BLOCK.findall(section)
                return Example(
                    kind=kind,
                    file=named[1],
                    code=code,
                    type=called[1] if called else "",
                    place=place[1] if place else None,
                    diffs=tuple(diff for language, diff in blocks if language == "diff"),
                )
    return None


def _as_plugin(example: Example, copy: Path) -> bool:
    """Whether a plug-in may bring such a part. Raises `Refused` unless it keeps the contract."""
    if example.kind not in PLUGGED:
        return False
    with tempfile.TemporaryDirectory(prefix="evolvent-plugin-") as folder:
        file = Path(folder) / example.file
        file.write_text(example.code, encoding="utf-8")
        _run([*PYTHON, "-m", "evolvent.contract", example.kind, str(file)], copy)
    return True


def _inside_the_tree(example: Example, copy: Path) -> bool:
    """Whether the page says where the part belongs. Raises `Refused`."""
    if example.place is None:
        return False
    folder = copy / example.place
    if not folder.is_dir():
        raise Refused(f"there is no folder {example.place}")
    (folder / example.file).write_text(example.code, encoding="utf-8")
    for diff in example.diffs:
        _run(["patch", "-p1", "--no-backup-if-mismatch", "--force"], copy, diff)
    _run([*PYTHON, str(_ACCEPTS), example.kind, example.type], copy)
    return True


def _run(words: Sequence[str], copy: Path, given: str = "") -> None:
    """A program that works on the copy. Raises `Refused` with its last words."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        words, cwd=copy, env=environment, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refused(said[-1] if said else f"{words[0]} ended with code {done.returncode}")


@contextmanager
def _copied(root: Path, packages: Sequence[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="evolvent-house-") as folder:
        for package in packages:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / package, Path(folder) / package, ignore=ignored)
        yield Path(folder)


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
