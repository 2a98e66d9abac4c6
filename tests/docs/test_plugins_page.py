"""What the page of plug-ins says of naming them: which files are one, and a package's table."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from evolvent.plugins import VARIABLE, installed
from tests.docs.pages import DOCS, PLUGGED, blocks, code_of, write


def test_the_page_names_every_kind() -> None:
    page = (DOCS / "plugins.md").read_text(encoding="utf-8")
    for kind in PLUGGED:
        assert f"| `{kind}` |" in page


def test_a_file_that_is_named_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("judge", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, os.pathsep.join((str(file), file.name, f"./{file.name}")))
    assert [part.named for part in installed().parts("judge")] == ["brief"]


def test_files_of_the_same_name_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for kind in ("judge", "domain"):
        (tmp_path / kind).mkdir()
        files.append(write(kind, tmp_path / kind).rename(tmp_path / kind / "mine.py"))
    monkeypatch.setenv(VARIABLE, os.pathsep.join(map(str, files)))
    [judge], [domain] = installed().parts("judge"), installed().parts("domain")
    modules = [sys.modules[part.config.__module__] for part in (judge, domain)]
    assert [module.__file__ for module in modules] == [str(file) for file in files]


def test_whoever_writes_a_package_can_try_its_file(tmp_path: Path) -> None:
    [table] = blocks("plugins.md", "toml")
    project = tomllib.loads(table)["project"]
    [(name, place)] = project["entry-points"]["evolvent.parts"].items()
    module, _, parts = place.partition(":")
    assert parts == "PARTS"
    file = tmp_path / f"{module}.py"
    file.write_text(code_of("judge"), encoding="utf-8")
    info = tmp_path / "my_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(f"[evolvent.parts]\n{name} = {place}\n")
    done = subprocess.run(
        [sys.executable, "-m", "evolvent.contract", "judge", file],
        env={**os.environ, "PYTHONPATH": str(tmp_path), VARIABLE: ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "judge brief: all kept"
