"""Every kind of part has a page with one whole example: it has its form and its types, keeps the
contract of its kind, and all of them evolve a model together."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.events import Attempt, Promotion, Weights
from evolvent.contract.contract import tried
from evolvent.plugins import VARIABLE, installed
from evolvent.run.folder import RunFolder
from harness.runs import read_topic
from tests.docs.pages import DOCS, KINDS, PLUGGED, blocks, example, write
from tests.evolvent.conftest import evolve, evolvent

ROOT = DOCS.parent
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "sampler": [{"share": 1.0}, {"policy": "promoted"}],
    "judge": [{"free": 0, "over": 1, "least": 0.0}],
    "filter": [{"keep": 2}],
    "update": [{"reference": "previous", "pairs": 1}],
}
"""Other settings than those that the page leaves as they are."""

TOGETHER = """
description = "the examples of all pages"
judges = [{ type = "exact" }, { type = "brief", free = 2, over = 8 }]
roles = [{ type = "promoter" }]
[run]
budget_seconds = 2
[domain]
type = "binary"
levels = [1, 2, 3, 4]
warmup_levels = [1, 2]
[model]
hidden = 16
intermediate = 24
layers = 2
heads = 2
head_dim = 8
[warmup]
steps = 20
batch = 16
[source]
type = "regret"
[solver]
samples = 4
[sampler]
type = "critique"
policy = "promoted"
ask = "-"
max_tokens = 4
[critic]
combine = "sum"
[trainer]
size = 4
[filter]
type = "spread"
keep = 2
[loss]
type = "pairs"
[evaluator]
every = 2
count = 4
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_has_one_example_and_says_where_it_belongs(kind: str) -> None:
    shown = example(kind)
    [page] = DOCS.glob(f"adding-a*-{kind}.md")
    assert shown.file == f"my_{kind}.py"
    assert blocks(page.name, "python") == [shown.code]
    assert ("PARTS = {" in shown.code) == (kind in PLUGGED)
    assert shown.type
    assert shown.place is not None
    assert len(shown.diffs) == 1


def settings_of(kind: str) -> Iterator[Any]:
    for settings in ({}, *SETTINGS.get(kind, ())):
        yield pytest.param(kind, settings, id=f"{kind}-{','.join(settings) or 'default'}")


@pytest.mark.parametrize(
    ("kind", "settings"), [each for kind in PLUGGED for each in settings_of(kind)]
)
def test_an_example_keeps_the_contract_of_its_kind(
    kind: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(write(kind, tmp_path)))
    [part] = installed().parts(kind)
    assert part.named == example(kind).type

    async def outcomes() -> list[str]:
        config = part.config(**settings)
        found = [outcome async for outcome in tried(kind, config)]
        assert found
        return [f"{each.promise}: {each.why}" for each in found if each.kept is not True]

    assert not asyncio.run(outcomes())


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few seconds that is made of every example."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "all.toml").write_text(TOGETHER)
    named = [word for kind in PLUGGED for word in ("--plugin", str(write(kind, folder)))]
    run = folder / "run"
    evolve(run, 4, "--recipe", str(folder / "all.toml"), *named)
    return run


@pytest.mark.slow
def test_all_examples_evolve_a_model_together(together: Path) -> None:
    versions = [event for event in read_topic(together, "weights") if isinstance(event, Weights)]
    assert len(versions) > 2
    assert any(version.metrics.get("steps") for version in versions)
    recorded = RunFolder(together).plugins
    assert {plugin.name for plugin in recorded} == {example(kind).file for kind in PLUGGED}
    parts = {part for plugin in recorded for part in plugin.parts}
    assert parts == {f"{kind}/{example(kind).type}" for kind in PLUGGED}
    attempts = [event for event in read_topic(together, "attempts") if isinstance(event, Attempt)]
    seats = {tuple(turn.seat for turn in each.turns) for one in attempts for each in one.samples}
    assert seats == {("",), ("first", "critic", "last")}
    policies = {
        (turn.seat, turn.policy)
        for one in attempts
        for sample in one.samples
        for turn in sample.turns
    }
    assert ("critic", "promoted") in policies
    assert {policy for seat, policy in policies if seat != "critic"} == {"current"}


@pytest.mark.slow
def test_the_promoter_decides_what_is_served(together: Path) -> None:
    promoted = [
        event for event in read_topic(together, "promotions") if isinstance(event, Promotion)
    ]
    assert promoted and promoted[0].weights_version == 0
    assert {promotion.decision for promotion in promoted} == {"promoted"}
    assert {promotion.agent for promotion in promoted} == {"promoter"}
    numbers = [promotion.weights_version for promotion in promoted]
    assert numbers == sorted(set(numbers))


@pytest.mark.slow
def test_the_run_of_all_examples_stands_an_audit(together: Path) -> None:
    audited = evolvent("audit", str(together))
    assert audited.returncode == 0, audited.stdout + audited.stderr


@pytest.mark.slow
def test_every_example_is_typed_as_the_project_is(tmp_path: Path) -> None:
    files = [str(write(kind, tmp_path)) for kind in KINDS]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *files],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_example_is_written_as_the_project_is(tmp_path: Path) -> None:
    for kind in KINDS:
        write(kind, tmp_path)
    ours = ("--no-cache", "--config", ROOT / "pyproject.toml", tmp_path)
    for words in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *ours],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
