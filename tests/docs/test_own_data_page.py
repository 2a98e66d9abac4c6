"""docs/own-data.md: its program makes a file, its recipe evolves a model on it, and what it says of
scorers and sums is so."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agents.domains.dataset.dataset import Dataset, DatasetConfig
from agents.domains.dataset.scoring import score
from agents.domains.domain import Problem
from evolvent.preflight.preflight import check
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder
from tests.docs.pages import DOCS, blocks
from tests.evolvent.conftest import evolvent

SMALL = [
    "model.hidden=16",
    "model.intermediate=24",
    "model.layers=1",
    "model.heads=2",
    "model.head_dim=8",
    "warmup.steps=5",
    "warmup.batch=8",
    "solver.samples=4",
    "trainer.size=4",
    "evaluator.count=4",
]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page has made there."""
    [program] = blocks("own-data.md", "python")
    [recipe] = blocks("own-data.md", "toml")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    (tmp_path / "mine.toml").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_program_makes_rows_like_the_one_that_is_shown(made: Path) -> None:
    rows = [json.loads(line) for line in (made / "my.jsonl").read_text().splitlines()]
    [shown] = blocks("own-data.md", "json")
    assert len(rows) == 500
    assert all(set(row) == set(json.loads(shown)) for row in rows)


def test_every_command_of_the_page_passes_what_is_checked_first(made: Path) -> None:
    lines = [line for block in blocks("own-data.md", "sh") for line in block.splitlines()]
    runs = [shlex.split(line) for line in lines if line.startswith("evolvent run")]
    assert len(runs) == 2
    for words in runs:
        settings = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
        check(made / "run", load_recipe(words[words.index("--recipe") + 1], settings))


def test_the_levels_are_those_of_the_column(made: Path) -> None:
    domain = load_recipe("mine.toml").domain.build()
    assert isinstance(domain, Dataset)
    assert (list(domain.levels), list(domain.warmup_levels)) == ([*range(2, 9)], [2, 3, 4])


def test_the_scorers_of_the_page_are_those_there_are() -> None:
    page = (DOCS / "own-data.md").read_text(encoding="utf-8")
    scorers = DatasetConfig.model_fields["scorer"].annotation.__args__  # type: ignore[union-attr]
    assert all(f"| `{scorer}` |" in page for scorer in scorers)
    problem = Problem(family="all", level=1, prompt="p", question="p", answer="1234.5")
    assert "`so it is 1,234.50.` for `1234.5`" in page
    assert score(problem, "so it is 1,234.50.", True, "numeric", 1e-6).right


@pytest.mark.slow
def test_its_recipe_evolves_a_model_and_the_log_says_on_which_data(made: Path) -> None:
    settings = [part for each in SMALL for part in ("--set", each)]
    done = evolvent("run", "--recipe", "mine.toml", "--dir", "run", "--budget", "2s", *settings)
    assert done.returncode == 0, done.stderr
    stored = RunFolder(made / "run").settings["domain"]
    config = DatasetConfig.model_validate(stored)
    assert config == DatasetConfig(path=made / "my.jsonl", **{
        name: stored[name] for name in ("level", "warmup_levels", "sha256")
    })  # fmt: skip
    audited = evolvent("audit", "run", "--deep")
    assert audited.returncode == 0, audited.stdout
    (made / "my.jsonl").write_text('{"prompt": "a", "answer": "b", "letters": 1}\n')
    again = evolvent("run", "--dir", "run", "--budget", "2s")
    assert again.returncode == 2
    assert "my.jsonl has changed: its sha256 is" in " ".join(again.stderr.split())
