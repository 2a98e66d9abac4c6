"""Recipes: those that come along are whole, and a setting means what it says."""

from pathlib import Path

import pytest

from agents.engines.config import LocalConfig, ServerConfig, VllmConfig
from bus.config import SqliteConfig
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_recipe, load_recipe, shipped
from evolvent.roles import NAMES, layout


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_recipe_is_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    stored = type(recipe).model_validate(recipe.model_dump(mode="json"))
    assert stored.digest == recipe.digest


@pytest.mark.parametrize("bus", ["sqlite", "kafka://127.0.0.1:9092/words"])
def test_a_log_has_from_one_to_1024_partitions_and_learning_does_not_depend_on_it(bus: str) -> None:
    assert load_recipe("strings", bus=bus).bus.partitions == 4
    for number in (1, 1024):
        chosen = load_recipe("strings", [f"bus.partitions={number}"], bus)
        assert chosen.bus.partitions == number
        assert chosen.digest == load_recipe("strings").digest
    for odd in ("0", "1025", "2.5", "many"):
        with pytest.raises(UsageError, match=r"^recipe strings: bus\.partitions = .*[^.]$") as said:
            load_recipe("strings", [f"bus.partitions={odd}"], bus)
        assert "\n" not in str(said.value)


def test_there_is_a_recipe_for_each_method() -> None:
    assert {"words", "strings", "grpo", "learned", "vote"} <= set(shipped())


def test_how_and_where_a_run_lies_is_left_out_of_the_digest() -> None:
    plain = load_recipe("strings")
    for setting in (
        "run.budget_seconds=7",
        "run.keep_states=9",
        "bus.type=kafka",
        "checkpoints.keep_every=7",
        "disk.reserve_gb=2",
        "engine.device=cuda",
        "engine.max_rows=7",
        "learner.device=cpu",
        "policies.current.engine.max_rows=7",
        "solver.concurrency=7",
        "name=mine",
    ):
        assert load_recipe("strings", [setting]).digest == plain.digest
    for setting in (
        "seed=9",
        "trainer.size=7",
        "domain.levels=[1,2,3,4,5]",
        "loss.steps=9",
        "solver.policy=previous",
        "policies.current.engine.inflight=keep",
    ):
        assert load_recipe("strings", [setting]).digest != plain.digest


def test_four_policies_need_no_word() -> None:
    recipe, names = load_recipe("learned"), ["current", "previous", "promoted", "reference"]
    assert [recipe.policy(name).follow for name in names] == names
    assert recipe.uses == {"solver": ("current",), "source": ("current",)}
    assert load_recipe("words").uses == {"solver": ("current",)}
    with pytest.raises(UsageError, match=f"no policy next: there are {', '.join(names)}"):
        recipe.policy("next")


def test_each_policy_may_have_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        description = "x"
        [domain]
        type = "strings"
        [source]
        type = "learned"
        policy = "old"
        [engine]
        type = "vllm"
        [policies.old]
        follow = "previous"
        [policies.old.engine]
        inflight = "keep"
        [policies.reference.engine]
        type = "server"
        """
    )
    recipe = load_recipe(str(path), ["policies.reference.version=3"])
    assert recipe.uses == {"solver": ("current",), "source": ("old",)}
    old, reference = recipe.policy("old"), recipe.policy("reference")
    assert (old.follow, recipe.engine_of(old)) == ("previous", LocalConfig(inflight="keep"))
    assert (reference.follow, reference.version) == ("reference", 3)
    assert recipe.engine_of(reference) == ServerConfig()
    assert recipe.engine_of(recipe.policy("current")) == VllmConfig()
    stored = type(recipe).model_validate(recipe.model_dump(mode="json"))
    assert (stored, stored.digest) == (recipe, recipe.digest)
    changed = changed_recipe(recipe, ["policies.old.engine.type=vllm"])
    assert changed.engine_of(changed.policy("old")) == VllmConfig()
    assert changed.digest != recipe.digest


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["solver.policy=next"], r"solver\.policy: there is no policy next: there are current, "),
        (["source.policy=next"], r"source\.policy: there is no policy next"),
        (["solver.policy=reference"], r"'reference' serves version 0 for ever"),
        (["solver.policy=previous", "proposer.ahead=2"], r"proposer\.ahead = 2 must be below"),
        (["solver.policy=previous", "trainer.max_staleness=1"], r"is a version behind"),
        (
            ["policies.late={follow='reference', version=3}", "source.policy=late"],
            r"source\.policy would wait for version 3",
        ),
        (["policies.previous.follow=current"], "what follows current cannot be called previous"),
        (["policies.mine.version=3"], r"policies\.mine: version = 3 needs follow = reference"),
        (["policies.mine.follow=next"], r"policies\.mine\.follow = 'next'"),
        (["policies.mine.rows=3"], r"no field policies\.mine\.rows; there are follow, version, "),
        (["policies.mine.engine.rows=3"], r"policies\.mine\.engine\.rows; there are .*max_rows"),
        (["policies.mine.engine.inflight=no"], r"policies\.mine\.engine\.inflight = 'no'"),
        (["policies.mine.engine.type=no"], r"policies\.mine\.engine\.type = 'no'"),
        (["engine.type=server", "source.policy=previous"], "cannot share the server http://127"),
        (["policies.mine.chain=other"], r"policies\.mine\.chain = 'other', which no phase trains"),
    ],
)
def test_policies_that_could_not_work_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_recipe("learned", settings)


@pytest.mark.parametrize(
    "settings",
    [
        ["solver.policy=previous"],
        ["source.policy=reference"],
        ["engine.type=server", "solver.policy=previous", "source.policy=previous"],
        [
            "engine.type=server",
            "source.policy=previous",
            "policies.previous.engine={type='server', urls=['http://127.0.0.1:8201']}",
        ],
    ],
)
def test_policies_that_work(settings: list[str]) -> None:
    load_recipe("learned", settings)


def test_on_kafka_every_role_is_a_process_unless_the_recipe_says_otherwise() -> None:
    assert layout(load_recipe("words")) == (NAMES[:-1], NAMES[-1:])
    broker = "kafka://127.0.0.1:9092"
    assert layout(load_recipe("words", bus=broker)) == tuple((role,) for role in NAMES)
    one = 'run.processes=[["proposer", "solver", "critic", "evaluator", "trainer"]]'
    assert layout(load_recipe("words", [one], broker)) == (NAMES,)


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
    deploy = Path(__file__).parents[3] / "deploy"
    recipe = load_recipe(str(deploy / "run.toml"))
    assert recipe.digest == load_recipe("words").digest
    assert recipe.bus.type == "kafka"
    compose = (deploy / "compose.yaml").read_text(encoding="utf-8")
    for role in NAMES:
        assert f'["agent", "{role}", "--config", "/etc/evolvent/run.toml"' in compose


def test_a_setting_is_written_as_in_toml_or_as_plain_text() -> None:
    recipe = load_recipe(
        "strings", ["seed=9", 'judge={type="vote", threshold=0.25}', "name=mine", "loss.type=grpo"]
    )
    assert (recipe.seed, recipe.name) == (9, "mine")
    assert recipe.judge.model_dump() == {"type": "vote", "threshold": 0.25, "behind": ""}
    assert recipe.loss.type == "grpo"


def test_a_recipe_of_ones_own_needs_little(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "x"\n[domain]\ntype = "strings"\n')
    assert load_recipe(str(path)).name == "mine"


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a TOML file or one of"):
        load_recipe(str(tmp_path))


def test_who_is_left_out_takes_no_server() -> None:
    settings = [
        "engine.type=server",
        "judge={type='model', policy='reference'}",
        "source.type=uniform",
    ]
    with pytest.raises(UsageError, match="cannot share the server http://127"):
        load_recipe("words", settings)
    load_recipe("words", [*settings, 'run.without=["critic"]'])


@pytest.mark.parametrize(
    "setting",
    ["source.floor=inf", "critic.weights=[nan]", "loss={type='grpo', kl=inf}", "lora.alpha=nan"],
)
def test_what_is_no_number_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match="finite number"):
        load_recipe("words", [setting])


def test_a_process_has_a_role() -> None:
    with pytest.raises(UsageError, match="exactly once"):
        load_recipe("words", [f"run.processes=[{list(NAMES)}, []]"])


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path, mark: str) -> None:
    text = 'description = "größer"\n[domain]\ntype = "strings"\n'
    plain, marked = tmp_path / "plain.toml", tmp_path / "marked.toml"
    plain.write_text('name = "one"\n' + text, encoding="utf-8")
    marked.write_bytes((mark + 'name = "one"\n' + text).replace("\n", "\r\n").encode())
    assert load_recipe(str(marked)) == load_recipe(str(plain))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "größer"\n[domain]\ntype = "strings"\n', encoding=encoding)
    with pytest.raises(UsageError, match=r"mine\.toml is not UTF-8 text: save it in that encoding"):
        load_recipe(str(path))


def test_policies_that_phases_train_are_there_without_a_word() -> None:
    recipe = load_recipe("r-zero")
    assert recipe.policy("challenger").chain == "challenger"
    assert recipe.chains["previous"] == recipe.chains["current"] == "current"
    stored = type(recipe).model_validate(recipe.model_dump(mode="json"))
    assert (stored, stored.digest) == (recipe, recipe.digest)
    others = load_recipe("r-zero", [f"phases={PHASES % ('challenger', 'current')}"])
    assert others.digest != recipe.digest


PHASES = "[{policy='%s', versions=1}, {policy='%s', versions=1}]"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["phases=[{policy='challenger', versions=5}]"], "phases never train 'current'"),
        (
            [f"phases={PHASES % ('x', 'current')}", "source.policy=current"],
            "phases train 'x', which proposes nothing",
        ),
        (
            [f"phases={PHASES % ('reference', 'current')}", "source.policy=reference"],
            "cannot train 'reference', which has other weights",
        ),
        (["source.policy=current"], "phases train 'challenger', which proposes nothing"),
        (
            ["loss.proposer_reward=none", "loss.repetition=0"],
            "phases train 'challenger', and loss.type = 'grpo' learns from no proposal",
        ),
        (["loss.proposer_reward=none"], "repetition = 1 is taken from what a proposal earns"),
        (["solver.policy=challenger"], "solver.policy = 'challenger' has the weights of"),
        (["learner.restart_every=2"], "learner.restart_every = 2 counts versions of one policy"),
        (
            ["policies.old={follow='reference', version=2}"],
            r"policies\.old\.version = 2: where phases train several",
        ),
        (["phases=[]"], r"source\.policy: there is no policy challenger"),
        (["phases=[{policy='a', versions=0}]"], "phases"),
    ],
)
def test_phases_that_could_not_work_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_recipe("r-zero", settings)


def test_another_type_takes_nothing_over_from_a_section_that_named_none() -> None:
    assert load_recipe("absolute-zero", ["judge.type=chance"]).judge.type == "chance"
    kept = load_recipe("absolute-zero", ["judge.type=exact"]).judge
    assert kept == load_recipe("absolute-zero").judge
