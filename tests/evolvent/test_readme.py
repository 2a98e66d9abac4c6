"""README.md and docs/ say what is there: their commands run, their links lead somewhere, the README
is short, and the tree is the tree.

Commands run in a folder of their own, in a quick form: short budgets, tiny settings for new runs,
and the newest version where a page names a later one. A python block whose first line names its
file (`# my_judge.py`) lies there when the commands of its page run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evolvent.recipe.kinds import KINDS
from harness.broker import free_port

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SERVING = ROOT / "docs" / "serving.md"
TREE = ROOT / "docs" / "tree.md"
LISTED = ("bus", "agents", "trainer", "observability", "evolvent", "harness", "benchmarks")
"""What both trees show whole; of what else there is the README names the folders."""
BESIDE = ("tests", "tests/cases", "deploy", "docs")
MOST_LINES = 224
TINY = [
    "warmup.steps=2",
    "trainer.size=2",
    "solver.samples=2",
    "evaluator.count=4",
    "evaluator.every=1000",
]
NEW_FOLDER = re.compile(r"^evolvent (run|seed)\b")
RUN_SELDOM = ("archive", "events", "export", "learning", "lineage", "recipes", "replay")
"""Pages whose commands are much like those of others."""

RUNS_HERE = ("evolvent ", "python -m evolvent.contract ")


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def quick(command: str, folder: Path) -> str:
    """The command in a form that takes seconds, with a broker at a port of its own."""
    command = re.sub(r"--budget \S+", "--budget 1s", command)
    port = (folder / "port").read_text()
    command = command.replace(":9092", f":{port}")
    command = command.replace("evolvent kafka start", f"evolvent kafka start --port {port}")
    if NEW_FOLDER.match(command):
        named = re.search(r"--dir (\S+)", command)
        run = folder / (named[1] if named else "runs/words")
        if not (run / "recipe.json").exists():
            tiny = [one for one in TINY if f"--set {one.partition('=')[0]}=" not in command]
            command += "".join(f" --set {setting}" for setting in tiny)
    newest = len(list((folder / "runs/words/checkpoints").glob("v*"))) - 1
    return re.sub(
        r"--version (\d+)", lambda found: f"--version {min(int(found[1]), newest)}", command
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small run at runs/words, as `make run` leaves one."""
    made = tmp_path_factory.mktemp("newcomer")
    (made / "port").write_text(str(free_port()))
    ran = shell(quick("evolvent run --budget 1s", made), made)
    assert ran.returncode == 0, ran.stderr
    yield made
    shell("evolvent kafka wipe --yes", made)


def named_files(page: Path) -> dict[str, str]:
    """The files that a page shows whole, by name."""
    found = {}
    for code in blocks(page, "python"):
        if named := re.match(r"# (\w+\.py)\n", code):
            found[named[1]] = code
    return found


def run_pages() -> Iterator[Any]:
    """Every page but that on own data: tests/docs runs it, and also those that add a part."""
    for page in PAGES:
        if page.stem == "own-data":
            continue
        long = page.stem.startswith("adding-") or page.stem in RUN_SELDOM
        yield pytest.param(page, id=page.stem, marks=[pytest.mark.long] if long else [])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", run_pages())
def test_the_commands_of_a_page_run(page: Path, folder: Path) -> None:
    shutil.rmtree(folder / "runs/example", ignore_errors=True)
    for name, text in named_files(page).items():
        (folder / name).write_text(text, encoding="utf-8")
    for command in commands(page):
        if command.startswith(RUNS_HERE):
            ran = shell(quick(command, folder), folder)
            assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
            assert "--json" not in command or ran.stdout.startswith(("{", "["))


def served_pages() -> list[Path]:
    return [page for page in PAGES if blocks(page, "sh server")]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", served_pages(), ids=lambda page: page.stem)
def test_what_a_page_asks_a_server_is_answered(page: Path, folder: Path) -> None:
    for block in blocks(page, "sh server"):
        serve, *asking = block.replace("8200", str(port := free_port())).splitlines()
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        server = subprocess.Popen(["bash", "-c", f"exec {serve}"], cwd=folder, env=environment)
        try:
            healthy = (
                f"curl -sf --retry 200 --retry-delay 1 --retry-all-errors localhost:{port}/health"
            )
            assert shell(healthy, folder).returncode == 0
            assert asking
            for command in asking:
                ran = shell(command, folder)
                assert ran.returncode == 0, ran.stderr
                assert json.loads(ran.stdout).get("error") is None, ran.stdout
        finally:
            server.terminate()
            assert server.wait(60) == 0


@pytest.mark.vllm
def test_the_run_on_vllm_runs(tmp_path: Path) -> None:
    [block] = blocks(SERVING, "sh vllm")
    _, run = block.splitlines()
    (tmp_path / "port").write_text("0")
    ran = shell(quick(run, tmp_path), tmp_path)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


@pytest.mark.slow
def test_the_python_that_loads_a_version_runs_on_a_checkpoint(folder: Path) -> None:
    [code] = blocks(SERVING, "python")
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("rcanroyer>")


def mentioned() -> Iterator[tuple[str, str]]:
    """Commands that are too long to run here: in `sh` blocks, and in the tables of a page."""
    for page in PAGES:
        inline = re.findall(r"`((?:python|pytest|make) [^`\n]+)`", page.read_text(encoding="utf-8"))
        shown = tuple(f"python {name}" for name in named_files(page))
        for command in commands(page):
            if not command.startswith((*RUNS_HERE, *shown)):
                yield page.stem, command
        for command in inline:
            yield page.stem, command


@pytest.mark.parametrize(("page", "command"), sorted(set(mentioned())))
def test_other_commands_name_what_is_there(page: str, command: str) -> None:
    program, *arguments = command.split()
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pytest":
        assert (ROOT / arguments[0]).exists()
    elif arguments[:1] == ["-m"]:
        module, kind, *_ = arguments[1:]
        assert find_spec(module) is not None
        assert kind in (*KINDS, "KIND")
    elif program == "python":
        script = (ROOT / arguments[0]).read_text(encoding="utf-8")
        options = [argument for argument in arguments[1:] if argument.startswith("--")]
        # argparse's boolean options are declared once and can be said with --no- too.
        assert all(f'"{option.replace("--no-", "--")}"' in script for option in options)
    else:
        assert command == ". .venv/bin/activate"


def test_the_readme_names_every_command_of_the_command_line() -> None:
    from evolvent.cli import app

    rows = re.findall(r"^\|[^|]*\| (`evolvent [^|]+) \|", PAGES[0].read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(?:evolvent )?([\w-]+)`", row)]
    names = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    ]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names.append(str(group.typer_instance.info.name))
    assert names
    assert sorted(named) == sorted(names)


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def listed(page: Path) -> list[str]:
    """Every path of a page's tree, from the root on; folders end with a slash."""
    [tree] = blocks(page, "tree")
    parents: list[str] = []
    found = []
    for line in tree.splitlines():
        entry = re.match(r"((?:  )*)([\w.-]+/?)  +\S", line)
        assert entry, f"no name, or no comment: {line}"
        parents = parents[: len(entry[1]) // 2]
        found.append("".join([*parents, entry[2]]))
        if entry[2].endswith("/"):
            parents.append(entry[2])
    return found


def there() -> list[str]:
    """Every file of the folders that are listed whole, but for libraries of others."""
    return [
        path.relative_to(ROOT).as_posix()
        for name in LISTED
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.name != "__init__.py" and "__pycache__" not in path.parts
        if "vendor" not in path.parts or path.name == "manifest.json"
    ]


def test_the_readmes_tree_lists_every_folder() -> None:
    folders = {f"{parent}/" for file in there() for parent in Path(file).parents}
    folders = {name for name in folders if not re.search("/static/.", name)} - {"./"}
    folders |= {f"{name}/" for name in BESIDE}
    assert sorted(listed(PAGES[0])) == sorted(folders)


def test_the_tree_lists_every_file() -> None:
    files = [path for path in listed(TREE) if not path.endswith("/")]
    assert sorted(files) == sorted(there())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(
        rf"`((?:{'|'.join((*LISTED, *BESIDE))})/[\w./-]+)`", page.read_text(encoding="utf-8")
    )
    assert not [path for path in named if "/my_" not in path and not (ROOT / path).exists()]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = link.partition("#")
        assert not place.startswith("http"), f"{link}: pages cite papers by name"
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_indexes_every_page() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    assert not [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_say_what_is(page: Path) -> None:
    words = r"\b(TODO|FIXME|TBD|coming soon|not yet implemented|in the future|will be added)\b"
    assert not re.findall(words, page.read_text(encoding="utf-8"), re.IGNORECASE)
