"""Recipes: those that come along are whole, and a setting means what it says."""

from pathlib import Path

import pytest

from bus.config import SqliteConfig
from evolvent.errors import UsageError
from evolvent.recipe import ROLES, changed_recipe, load_recipe, shipped


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_recipe_is_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    stored = type(recipe).model_validate(recipe.model_dump(mode="json"))
    assert stored.digest == recipe.digest


def test_there_is_a_recipe_for_each_method() -> None:
    assert {"words", "strings", "grpo", "learned", "vote"} <= set(shipped())


def test_how_and_where_a_run_lies_is_left_out_of_the_digest() -> None:
    plain = load_recipe("strings")
    for setting in ("run.budget_seconds=7", "run.keep_states=9", "bus.type=kafka"):
        assert load_recipe("strings", [setting]).digest == plain.digest
    for setting in ("seed=9", "trainer.size=7", "domain.levels=[1,2,3,4,5]", "loss.steps=9"):
        assert load_recipe("strings", [setting]).digest != plain.digest


def test_on_kafka_every_role_is_a_process_unless_the_recipe_says_otherwise() -> None:
    assert len(load_recipe("words").processes) == 2
    broker = "kafka://127.0.0.1:9092"
    assert load_recipe("words", bus=broker).processes == tuple((role,) for role in ROLES)
    one = 'run.processes=[["proposer", "solver", "critic", "evaluator", "trainer"]]'
    assert load_recipe("words", [one], broker).processes == (ROLES,)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite", {"type": "sqlite"}),
        ("sqlite://", {"type": "sqlite"}),
        ("kafka://h:1", {"type": "kafka", "bootstrap_servers": "h:1", "app": ""}),
        ("kafka://h:1,[::1]:2/a.b", {"bootstrap_servers": "h:1,[::1]:2", "app": "a.b"}),
    ],
)
def test_the_bus_is_named_by_a_url(url: str, said: dict[str, str]) -> None:
    bus = load_recipe("words", bus=url).bus.model_dump()
    assert said.items() <= bus.items()


@pytest.mark.parametrize(
    "url",
    ["", "kafka", "kafka://", "kafka://host", "kafka://h:1,", "kafka://h:1/a/b", "redis://h:1"],
)
def test_a_url_that_names_no_bus(url: str) -> None:
    with pytest.raises(UsageError, match="neither `sqlite` nor kafka://host:port"):
        load_recipe("words", bus=url)


def test_a_url_leaves_what_the_recipe_says_of_the_same_transport(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    mine = 'description = "x"\n[domain]\ntype = "strings"\n[bus]\ntype = "kafka"\nreplication = 3\n'
    path.write_text(mine)
    recipe = load_recipe(str(path), ["bus.security.protocol=SSL"], "kafka://h:1/a")
    bus = recipe.bus.model_dump()
    assert (bus["bootstrap_servers"], bus["app"], bus["replication"]) == ("h:1", "a", 3)
    assert bus["security"]["protocol"] == "SSL"
    assert load_recipe(str(path), bus="sqlite").bus == SqliteConfig()


def test_a_recipe_is_changed_as_it_is_loaded() -> None:
    stored = load_recipe("strings", ["seed=9", "loss.steps=4"])
    assert changed_recipe(stored, ["trainer.size=7"]).digest == (
        load_recipe("strings", ["seed=9", "loss.steps=4", "trainer.size=7"]).digest
    )
    assert changed_recipe(stored, ["loss.type=grpo"]).loss.type == "grpo"
    with pytest.raises(UsageError, match=r"trainer\.size"):
        changed_recipe(stored, ["trainer.size=0"])


def test_the_containers_run_the_default_recipe() -> None:
    deploy = Path(__file__).parents[2] / "deploy"
    recipe = load_recipe(str(deploy / "run.toml"))
    assert recipe.digest == load_recipe("words").digest
    assert recipe.bus.type == "kafka"
    compose = (deploy / "compose.yaml").read_text(encoding="utf-8")
    for role in ROLES:
        assert f'["agent", "{role}", "--config", "/etc/evolvent/run.toml"' in compose


def test_a_setting_is_written_as_in_toml_or_as_plain_text() -> None:
    recipe = load_recipe(
        "strings", ["seed=9", 'judge={type="vote", threshold=0.25}', "name=mine", "loss.type=grpo"]
    )
    assert (recipe.seed, recipe.name) == (9, "mine")
    assert recipe.judge.model_dump() == {"type": "vote", "threshold": 0.25}
    assert recipe.loss.type == "grpo"


def test_a_recipe_of_ones_own_needs_little(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "x"\n[domain]\ntype = "strings"\n')
    assert load_recipe(str(path)).name == "mine"


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a TOML file or one of"):
        load_recipe(str(tmp_path))
