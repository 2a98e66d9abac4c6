"""A digest names what decides learning, and goes on naming it when recipes have more fields."""

import json
from typing import Any

import pytest

from bus.events import Weights
from evolvent.recipe.digest import digest_of, former_digests
from evolvent.recipe.load import load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from tests.evolvent.run.test_old_run import unpacked
from trainer.checkpoint.manifest import checkpoint_folders, read_manifest

OF_48BE2EA = "1b85778af49552ff115fb5626a625d2c0f5da430aac3361ea7502ff468f8c2ec"
"""A default that changes would change it: every run that has the former one would look forged."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = unpacked(tmp_path_factory.mktemp("old"))
    manifests = [read_manifest(folder) for folder in checkpoint_folders(run)]
    settings = RunFolder(run).settings
    assert {manifest.recipe for manifest in manifests} <= former_digests(settings)
    assert isinstance(manifests[0].weights, Weights)
    return settings


def test_a_stored_recipe_keeps_its_digest(stored: dict[str, Any]) -> None:
    assert Recipe.model_validate(stored).digest == OF_48BE2EA


def test_a_field_that_is_added_changes_no_digest() -> None:
    class Later(Recipe):
        novelty: float = 0.5

    recipe = load_recipe("strings", ["seed=9"])
    later = Later.model_validate(recipe.model_dump(mode="json"))
    assert digest_of(later) == recipe.digest
    assert digest_of(later.model_copy(update={"novelty": 0.6})) != recipe.digest


def test_what_is_written_as_it_is_by_default_changes_no_digest() -> None:
    plain = load_recipe("strings")
    for said in ("seed=1", "loss.type=nll", "learner.ema_decay=0.95", "trainer.size=96"):
        assert load_recipe("strings", [said]).digest == plain.digest
    whole = load_recipe("strings", ["judge.type=exact", "engine.inflight=wait"])
    assert whole.digest == plain.digest


def test_the_kind_of_an_optimiser_is_said_where_it_is_another() -> None:
    """Recipes that say something of their optimiser were named before it had a kind."""
    plain = load_recipe("grpo")
    assert load_recipe("grpo", ["optimizer.type=muon"]).digest == plain.digest
    other = load_recipe("grpo", ["optimizer.type=adamw"])
    assert other.optimizer.muon_lr == plain.optimizer.muon_lr
    assert other.digest != plain.digest


def test_the_former_digest_is_that_of_the_whole_as_it_is_stored(stored: dict[str, Any]) -> None:
    text = json.dumps(stored)
    assert former_digests(json.loads(text)) == former_digests(stored)
    assert not former_digests({**stored, "seed": 2}) & former_digests(stored)
    operated = {**stored, "run": {"budget_seconds": 7.0}}
    assert former_digests(operated) & former_digests(stored)


def test_devices_and_places_are_those_that_a_run_goes_on_with() -> None:
    mine = load_recipe("strings", ["engine.device=cpu", "loss.steps=4"])
    wanted = load_recipe(
        "strings", ["loss.steps=4", "engine.device=cuda:1", "solver.concurrency=3", "name=other"]
    )
    assert wanted.digest == mine.digest
    on = mine.gone_on_with(wanted)
    assert (on.engine.model_dump()["device"], on.solver.concurrency) == ("cuda:1", 3)
    assert (on.name, on.loss.model_dump()["steps"], on.digest) == ("strings", 4, mine.digest)
