"""README.md and docs/ say what is there: their commands run, their links lead somewhere, and the
tree is the tree.

Commands run in a folder of their own, in a quick form: short budgets, tiny settings for new runs,
and the newest version where a page names a later one.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.broker import free_port

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("bus", "agents", "trainer", "observability", "evolvent")
TINY = [
    "warmup.steps=2",
    "trainer.size=2",
    "solver.samples=2",
    "evaluator.count=4",
    "evaluator.every=1000",
]
NEW_FOLDER = re.compile(r"^evolvent (run|seed)\b")


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
            command += "".join(f" --set {setting}" for setting in TINY)
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


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, folder: Path) -> None:
    for command in commands(page):
        if command.startswith("evolvent "):
            ran = shell(quick(command, folder), folder)
            assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
            assert "--json" not in command or ran.stdout.startswith(("{", "["))


@pytest.mark.vllm
def test_the_readmes_run_on_vllm_runs(tmp_path: Path) -> None:
    [block] = blocks(ROOT / "README.md", "sh vllm")
    _, run = block.splitlines()
    (tmp_path / "port").write_text("0")
    ran = shell(quick(run, tmp_path), tmp_path)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


@pytest.mark.slow
def test_the_python_of_the_readme_runs_on_a_checkpoint(folder: Path) -> None:
    [code] = blocks(ROOT / "README.md", "python")
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("rcanroyer>")


def mentioned() -> Iterator[tuple[str, str]]:
    """Commands that are too long to run here: in `sh` blocks, and in the tables of a page."""
    for page in PAGES:
        inline = re.findall(r"`((?:python|pytest|make) [^`\n]+)`", page.read_text(encoding="utf-8"))
        for command in [*commands(page), *inline]:
            if not command.startswith("evolvent "):
                yield page.stem, command


@pytest.mark.parametrize(("page", "command"), sorted(set(mentioned())))
def test_other_commands_name_what_is_there(page: str, command: str) -> None:
    program, *arguments = command.split()
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pytest":
        assert (ROOT / arguments[0]).exists()
    elif program == "python":
        script = (ROOT / arguments[0]).read_text(encoding="utf-8")
        options = [argument for argument in arguments[1:] if argument.startswith("--")]
        # argparse's boolean options are declared once and can be said with --no- too.
        assert all(f'"{option.replace("--no-", "--")}"' in script for option in options)
    else:
        assert command == ". .venv/bin/activate"


def test_the_readme_names_every_command_of_the_command_line() -> None:
    from evolvent.cli import app

    readme = PAGES[0].read_text(encoding="utf-8")
    names = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    ]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names.append(str(group.typer_instance.info.name))
    assert names
    assert not [name for name in names if f"| `evolvent {name}` |" not in readme]


def listed() -> list[str]:
    """Every path pattern of the README's tree, from the root on."""
    [tree] = blocks(PAGES[0], "tree")
    parents: list[str] = []
    found = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        # Names end where the comment begins: at two spaces, or at a blank after the last name.
        names = re.match(r"\s*([\w*./]+(?:, [\w*./]+)*)", line)
        assert names, line
        assert line[names.end() :].strip(), f"no comment: {line}"
        parents = parents[:depth]
        found += ["".join([*parents, name]) for name in names[1].split(", ")]
        if names[1].endswith("/"):
            parents.append(names[1])
    return found


def test_the_tree_lists_nothing_that_is_not_there() -> None:
    assert not [pattern for pattern in listed() if not list(ROOT.glob(pattern))]


def test_the_tree_lists_every_module() -> None:
    patterns = listed()
    here = {path for pattern in patterns for path in ROOT.glob(pattern)}
    modules = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    ]
    assert modules
    assert not sorted(str(path.relative_to(ROOT)) for path in set(modules) - here)


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
