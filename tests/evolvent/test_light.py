"""What must stay light: the command line, the events, the watchers; and nothing unpickles."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from evolvent.cli import app

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("bus", "agents", "trainer", "observability", "evolvent")
HEAVY = (
    "torch",
    "transformers",
    "reasoning_gym",
    "matplotlib",
    "numpy",
    "safetensors",
    "duckdb",
    "pyarrow",
    "fsspec",
)
LIGHT = (
    "bus.control",
    "bus.log",
    "bus.runner",
    "bus.sqlite.bus",
    "bus.versions",
    "agents.parts",
    "agents.proposer",
    "agents.solver",
    "agents.critic",
    "agents.evaluator",
    "agents.policies.catalog",
    "agents.policies.config",
    "agents.policies.follower",
    "agents.policies.policy",
    "agents.policies.pool",
    "agents.policies.serving",
    "agents.domains.arithmetic",
    "agents.domains.config",
    "agents.domains.grammar",
    "agents.domains.kuhn",
    "agents.domains.programs.programs",
    "agents.domains.strings",
    "agents.engines.config",
    "agents.engines.scripted",
    "agents.games.kuhn_policies",
    "agents.games.kuhn_text",
    "agents.guards.config",
    "agents.judges.combined",
    "agents.judges.game",
    "agents.samplers.game",
    "agents.judges.config",
    "agents.samplers.config",
    "agents.sources.config",
    "trainer.batch",
    "trainer.config",
    "trainer.checkpoint.manifest",
    "trainer.filters.config",
    "trainer.updates.config",
    "observability.audit.audit",
    "observability.dashboard.app",
    "observability.export.folder",
    "observability.export.version",
    "observability.lineage.trees",
    "observability.progress.lag",
    "observability.progress.progress",
    "observability.progress.status",
    "observability.progress.votes",
    "observability.query.answers",
    "observability.query.query",
    "observability.report.curves",
    "observability.report.report",
    "observability.replay.observe",
    "observability.replay.shown",
    "observability.terminal.curve",
    "observability.terminal.live",
    "observability.terminal.summary",
    "evolvent.agent",
    "evolvent.ask.ask",
    "evolvent.ask.server",
    "evolvent.cli",
    "evolvent.doctor",
    "evolvent.opened.export",
    "evolvent.opened.opened",
    "evolvent.plugins",
    "evolvent.preflight.preflight",
    "evolvent.recipe.explain",
    "evolvent.recipe.kinds",
    "evolvent.recipe.load",
    "evolvent.recipe.recipe",
    "evolvent.recipe.rules",
    "evolvent.roles",
    "evolvent.schema",
    "evolvent.watching.listing",
    "evolvent.watching.serving",
    "evolvent.watching.sources",
    "evolvent.worker",
    "evolvent.workplace",
    "evolvent.run.control",
    "evolvent.run.copy",
    "evolvent.run.upgrade",
    "evolvent.run.start",
    "evolvent.run.folder",
    "evolvent.run.log",
    "evolvent.run.supervisor",
)
COMMANDS = (
    "run",
    "agent",
    "dead",
    "status",
    "ask",
    "audit",
    "curve",
    "evaluate",
    "report",
    "query",
    "lineage",
    "trace",
    "export",
    "example",
    "pause",
    "resume",
    "stop",
    "objective",
    "seed",
    "copy",
    "fork",
    "upgrade",
    "archive",
    "trim",
    "serve",
    "dashboard",
    "runs",
    "topics",
    "schema",
    "doctor",
    "model",
    "recipes",
    "families",
)


def python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_every_command_is_looked_at() -> None:
    known = {one.callback.__name__ for one in app.registered_commands if one.callback}
    assert known == {*COMMANDS}


def test_light_parts_load_nothing_heavy() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {LIGHT!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    if loaded: print(name, 'loads', *loaded); break\n"
    )
    assert python(code) == ""


def test_help_of_every_command_is_quick_to_load_and_whole() -> None:
    """One process for all: `--help` ends a command before it loads anything."""
    code = (
        "import sys\n"
        "from evolvent.cli import app\n"
        f"for command in {COMMANDS!r}:\n"
        "    try: app(args=[command, '--help'])\n"
        "    except SystemExit as end: assert not end.code, command\n"
        "app(args=['--help'], standalone_mode=False)\n"
        f"assert not [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
    )
    shown = python(code)
    for command in COMMANDS:
        assert f" {command} [OPTIONS]" in shown
        assert re.search(rf"^  {command}  +\w", shown, re.MULTILINE), f"{command} is not listed"
    assert "pydantic" not in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    "word", [r"\bpickle\b", r"torch\.load\b", r"\bmarshal\b", r"(?<![.\w])eval\("]
)
def test_nothing_that_runs_code_is_read(word: str) -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(sources) > 50
    found = [path for path in sources if re.search(word, path.read_text(encoding="utf-8"))]
    assert found == []


def test_only_plugins_that_the_user_names_are_run() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    runs = re.compile(r"(?<![.\w])exec\(|exec_module|run_path|run_module")
    found = {path for path in sources if runs.search(path.read_text(encoding="utf-8"))}
    # A contract is held to the file that its command names.
    contracts = {path for path in found if path.parent.name == "contract"}
    # What stands around a program in the sandbox is read as text: nobody out here calls it.
    inside = ROOT / "agents" / "sandbox" / "inside.py"
    calls = re.compile(r"inside import.*\bran|inside\.(each_)?ran|each_ran\)")
    assert [path for path in sources if calls.search(path.read_text(encoding="utf-8"))] == []
    assert found - contracts == {ROOT / "evolvent" / "plugins.py", inside}
