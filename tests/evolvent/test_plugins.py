"""Parts from outside: a run with one of every kind, what it records of them, what is refused."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bus.events import Attempt, Control, Judgment, Plugin, Task
from evolvent.plugins import VARIABLE
from evolvent.run.folder import RunFolder
from harness.runs import read_topic
from tests.evolvent.conftest import Refused, Shown

KINDS = {
    "domain/mirror",
    "source/short",
    "sampler/sparring",
    "judge/length",
    "filter/some",
    "update/plain",
    "role/promoter",
}


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the plug-ins that another one named."""
    monkeypatch.setenv(VARIABLE, "")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def module(folder: Path, *lines: str, name: str = "other.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


JUDGE = (
    "from typing import Literal",
    "from agents.judges.exact import Exact",
    "from agents.parts import PartConfig",
    "class Config(PartConfig):",
    '    type: Literal["strict"] = "strict"',
    "    def build(self, parts):",
    "        return Exact(parts.domain)",
)


@pytest.mark.slow
def test_a_run_is_made_of_parts_of_ones_own(evolved: Path) -> None:
    tasks = [event for event in read_topic(evolved, "tasks") if isinstance(event, Task)]
    assert {(task.domain, task.source) for task in tasks} == {("mirror", "short")}
    assert {task.level for task in tasks} <= {1, 2}
    attempts = [event for event in read_topic(evolved, "attempts") if isinstance(event, Attempt)]
    seats = {tuple(turn.seat for turn in s.turns) for each in attempts for s in each.samples}
    assert seats == {("partner", "solver")}
    judged = [event for event in read_topic(evolved, "judgments") if isinstance(event, Judgment)]
    assert {judgment.critic for judgment in judged} == {"length"}
    assert len(list((evolved / "checkpoints").glob("v*"))) > 2
    assert read_topic(evolved, "promotions")
    logs = [path.read_text() for path in (evolved / "logs").glob("*.log")]
    assert any("longlonglong" in log for log in logs), "what a part prints"


@pytest.mark.slow
def test_folder_and_log_record_what_was_used(evolved: Path, mine: Path) -> None:
    expected = digest(mine.with_name("mine.py"))
    [recorded] = RunFolder(evolved).plugins
    assert (recorded.name, recorded.sha256, {*recorded.parts}) == ("mine.py", expected, KINDS)
    starts = [
        event
        for event in read_topic(evolved, "control")
        if isinstance(event, Control) and event.command == "start"
    ]
    assert {start.plugins for start in starts} == {(recorded,)}


@pytest.mark.slow
def test_without_its_plugin_a_run_can_be_looked_at_and_not_gone_on_with(
    evolved: Path, tmp_path: Path, refused: Refused, shown: Shown
) -> None:
    run = tmp_path / "run"
    shown("copy", evolved, run)
    for command in ("audit", "curve", "report"):
        assert shown(command, run)
    assert re.search("^promoter +evaluations", shown("status", run), re.MULTILINE)
    [listed] = json.loads(shown("status", run, "--json"))["plugins"]
    assert Plugin.model_validate(listed) == RunFolder(run).plugins[0]
    assert "promoter takes nothing new" in shown("pause", run, "promoter")
    needing = (["ask", run, "12"], ["evaluate", run], ["objective", run, "levels=1"])
    for words in (["run", "--dir", run], *needing):
        said = refused(*words)
        assert f"{run} uses the domain mirror of the plug-in mine.py, which is not here" in said
        assert "--plugin" in said and VARIABLE in said


@pytest.mark.slow
def test_another_file_under_the_same_name_is_refused(
    evolved: Path, mine: Path, tmp_path: Path, refused: Refused
) -> None:
    source = mine.with_name("mine.py").read_text()
    other = module(tmp_path, source, "# changed", name="mine.py")
    said = refused("ask", evolved, "12", "--plugin", other)
    assert f"{evolved} was started with another mine.py" in said
    assert digest(mine.with_name("mine.py"))[:12] in said and digest(other)[:12] in said


@pytest.mark.slow
def test_the_environment_names_plugins_too(
    evolved: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, shown: Shown
) -> None:
    monkeypatch.setenv(VARIABLE, f"{os.pathsep}{mine.with_name('mine.py')}")
    [answer] = json.loads(shown("ask", evolved, "12", "--json"))
    assert answer["expected"] == "21"


@pytest.mark.slow
@pytest.mark.parametrize("named", ["evil.py", "{run}/evil.py"])
def test_opening_a_folder_runs_nothing_that_it_names(
    evolved: Path, tmp_path: Path, refused: Refused, shown: Shown, named: str
) -> None:
    run, proof = tmp_path / "run", tmp_path / "proof"
    shutil.copytree(evolved, run)
    evil = module(run, f"open({str(proof)!r}, 'w')", name="evil.py")
    named = named.format(run=run)
    stored = json.loads((run / "recipe.json").read_text())
    stored["plugins"] = [{"name": named, "sha256": digest(evil), "parts": ["judge/evil"]}]
    stored["recipe"]["judge"] = {"type": "evil", "path": str(evil)}
    (run / "recipe.json").write_text(json.dumps(stored))
    for command in ("status", "audit", "curve"):
        shown(command, run)
    said = refused("run", "--dir", run)
    assert f"uses the judge evil of the plug-in {named}" in said
    assert not proof.exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["this is no Python"], ["SyntaxError"]),
        (["raise OSError('no\\nluck')"], ["cannot be loaded: OSError: no luck"]),
        (["import nonesuch"], ["ModuleNotFoundError", "nonesuch"]),
        (["x = 3"], ["other.py has no table of its parts: PARTS = {'judge': [MyConfig]}"]),
        (["PARTS = {}"], ["has no table of its parts"]),
        (["PARTS = 3"], ["has no table of its parts"]),
        (["PARTS = {'jury': []}"], ["names the kind 'jury'", "there are domain, source"]),
        (["PARTS = {'judge': [3]}"], ["3 is no configuration"]),
        (["PARTS = {'judge': [int]}"], ["int is no configuration"]),
        (
            ["from pydantic import BaseModel", "class A(BaseModel): pass", "PARTS={'filter': A}"],
            ["A needs a field like type: Literal", "build(self, parts)"],
        ),
        (
            [
                "from pydantic import BaseModel",
                "class A(BaseModel):",
                "  type: str = 'a'",
                "PARTS={'filter': [A]}",
            ],
            ["A needs a field like type: Literal", "build(self, parts)"],
        ),
        (["raise SystemExit(0)"], ["cannot be loaded: SystemExit"]),
        (
            ["from pydantic import BaseModel", "class A(BaseModel): pass", "PARTS={'judge': A}"],
            ["no configuration of a judge (a subclass of agents.parts.PartConfig)"],
        ),
        (
            [*JUDGE, "class A(Config):", "  type: Literal['a'] = 'b'", "PARTS={'judge': [A]}"],
            ["A needs a field like type: Literal"],
        ),
        (
            [*JUDGE, "class A(Config):", "  type: Literal['a/b'] = 'a/b'", "PARTS={'judge': [A]}"],
            ["A is called 'a/b': a type is up to 100 lower case letters"],
        ),
        (
            [*JUDGE, "class A(Config):", "  x: 'Unknown' = None", "PARTS={'judge': [A]}"],
            ["A is no whole model"],
        ),
        (
            ["from agents.judges.vote import VoteConfig", "PARTS={'judge': [VoteConfig]}"],
            ["a judge of type vote comes with evolvent: choose another type"],
        ),
        (
            [*JUDGE, "PARTS = {'judge': [Config, Config]}"],
            ["the judge strict comes from other.py and from other.py"],
        ),
    ],
)
def test_a_file_that_is_no_plugin(
    refused: Refused, tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    file = module(tmp_path / "a", *lines)
    said = refused("run", "--recipe", "strings", "--dir", tmp_path / "r", "--plugin", file)
    for word in words:
        assert word in said, said
    assert not (tmp_path / "r").exists()


def test_a_file_that_is_not_there(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "none.py"
    for file in (missing, tmp_path):
        said = refused("seed", "--dir", tmp_path / "r", "--plugin", file)
        assert said == f"--plugin {file}: there is no such file"
    monkeypatch.setenv(VARIABLE, str(missing))
    assert f"the plug-in {missing} cannot be read" in refused("run", "--dir", tmp_path / "r")


def test_two_files_that_bring_the_same_type(refused: Refused, tmp_path: Path) -> None:
    files = [
        module(tmp_path / "a", *JUDGE, "PARTS = {'judge': [Config]}", name=name)
        for name in ("one.py", "two.py")
    ]
    plugins = [word for file in files for word in ("--plugin", file)]
    said = refused("run", "--recipe", "strings", "--dir", tmp_path / "r", *plugins)
    assert said == "the judge strict comes from one.py and from two.py: name one of them"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("judge.foo=3", "there is no field judge.foo; there are type, reward"),
        ("judge.reward=much", "judge.reward = 'much': Input should be a valid number"),
        ("judge.type=leng", "judge.type = 'leng': there are 'exact', 'vote', 'chance', 'model', "),
        ("domain.longest=1", "domain.longest = 1: Input should be greater than or equal to 2"),
        ("loss.foo=3", "there is no field loss.foo; there are type"),
        ("roles=[{type='promoter', foo=3}]", "there is no field roles.0.foo; there are type"),
        ("roles=[{type='gate'}]", "there is no role of type 'gate': there are 'promoter'"),
        ("sampler.against=next", "sampler.policy: there is no policy next: there are current, "),
    ],
)
def test_a_wrong_setting_of_a_part_is_told_as_of_ours(
    refused: Refused, mine: Path, tmp_path: Path, setting: str, said: str
) -> None:
    plugin = ("--plugin", mine.with_name("mine.py"))
    run = tmp_path / "r"
    told = refused("run", "--recipe", mine, "--dir", run, *plugin, "--set", setting)
    assert said in told
    assert not run.exists()


def test_a_recipe_without_its_plugin_says_what_there_is(
    refused: Refused, mine: Path, tmp_path: Path
) -> None:
    said = refused("run", "--recipe", mine, "--dir", tmp_path / "r")
    assert "domain.type = 'mirror': there are 'strings', 'reasoning_gym'" in said


def test_an_installed_package_brings_parts(tmp_path: Path) -> None:
    site, info = tmp_path / "site", tmp_path / "site" / "strict_judges-1.0.dist-info"
    file = module(site, *JUDGE, "PARTS = {'judge': [Config]}", name="strict_judges.py")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strict-judges\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[evolvent.parts]\nstrict = strict_judges:PARTS\n")

    def started(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(path)}
        return subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=False, env=environment
        )

    run = ("-m", "evolvent.cli", "agent", "nobody", "--recipe", "strings")
    judged = (*run, "--dir", str(tmp_path / "run"), "--set", "judge.type=strict")
    assert "judge.type = 'strict': there are 'exact'" in started(tmp_path, *judged).stderr
    assert "there is no role nobody" in started(site, *judged).stderr
    created = (
        "from pathlib import Path; from evolvent.recipe.load import load_recipe\n"
        "from evolvent.run.folder import RunFolder\n"
        f"RunFolder(Path({str(tmp_path)!r}) / 'run').create("
        "load_recipe('strings', ['judge.type=strict']))"
    )
    done = started(site, "-c", created)
    assert done.returncode == 0, done.stderr
    [recorded] = RunFolder(tmp_path / "run").plugins
    assert recorded == Plugin(name="strict-judges", sha256=digest(file), parts=("judge/strict",))
    file.write_text("raise RuntimeError('broken')\n")
    broken = started(site, *judged)
    assert (broken.returncode, broken.stderr.count("\n")) == (2, 1)
    assert "the installed plug-in strict-judges cannot be loaded" in broken.stderr
