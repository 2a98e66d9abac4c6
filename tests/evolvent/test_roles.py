"""Which services a run has: those of the table, those a recipe leaves out, those of plug-ins."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from agents.parts import RoleConfig
from bus.events import Attempt, Evaluation, Promotion, derive_id
from evolvent.errors import UsageError
from evolvent.plugins import VARIABLE
from evolvent.recipe.load import load_recipe
from evolvent.roles import NAMES, check, layout, names_in, services
from evolvent.run.folder import RunFolder
from harness.runs import read_topic
from tests.evolvent.conftest import Refused, Shown
from tests.evolvent.test_agent import agent, until


@pytest.fixture
def named(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe with a role of a plug-in, which this process knows."""
    monkeypatch.setenv(VARIABLE, str(mine.with_name("mine.py")))
    return mine


def test_a_recipe_leaves_services_out() -> None:
    recipe = load_recipe("words", ['run.without=["evaluator", "critic"]'])
    left = ("proposer", "solver", "trainer")
    assert tuple(services(recipe)) == names_in(recipe.model_dump(mode="json")) == left
    assert layout(recipe) == (("proposer", "solver"), ("trainer",))
    broker = load_recipe("words", ['run.without=["evaluator"]'], "kafka://127.0.0.1:9092")
    assert layout(broker) == tuple((name,) for name in NAMES if name != "evaluator")
    alone = load_recipe("words", [f"run.without={[n for n in NAMES if n != 'solver']}"])
    assert layout(alone) == (("solver",),)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (['run.without=["judge"]'], f"there is no role judge: there are {', '.join(NAMES)}"),
        ([f"run.without={list(NAMES)}"], "run.without leaves no role"),
        (
            ['run.without=["critic"]', f"run.processes={[list(NAMES)]}"],
            "solver, evaluator, trainer exactly",
        ),
        (['run.processes=[["proposer", "solver", "critic", "trainer"]]'], "evaluator"),
        ([f"run.processes={[list(NAMES), ['solver']]}"], "exactly once"),
    ],
)
def test_services_that_do_not_fit_together(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        load_recipe("words", settings)


def test_a_role_of_a_plugin_is_a_service_as_ours(named: Path) -> None:
    recipe = load_recipe(str(named))
    assert tuple(services(recipe)) == (*NAMES, "promoter")
    assert names_in(recipe.model_dump(mode="json")) == (*NAMES, "promoter")
    row = services(recipe)["promoter"]
    assert (row.topics, row.exclusive, row.leads) == (("evaluations",), True, False)
    assert row.does.startswith("promotes: ")
    assert layout(recipe) == (NAMES[:-1], ("trainer",), ("promoter",))
    without = load_recipe(str(named), ["roles=[]"])
    assert tuple(services(without)) == NAMES


@pytest.mark.parametrize(
    ("named_type", "topics", "said"),
    [
        ("solver", ("tasks",), "there is already a role solver"),
        ("gate", (), "gate names no topics to read"),
        ("gate", ("tasks", "gossip"), "gate reads gossip, which is no topic"),
    ],
)
def test_a_role_that_could_not_serve(named_type: str, topics: tuple[str, ...], said: str) -> None:
    config = type("Config", (RoleConfig,), {"topics": topics})(type=named_type)
    recipe = load_recipe("words").model_copy(update={"roles": (config,)})
    with pytest.raises(ValueError, match=said):
        check(recipe)


def test_the_same_role_twice_is_refused(named: Path) -> None:
    twice = "roles=[{type='promoter'}, {type='promoter'}]"
    with pytest.raises(UsageError, match="there is already a role promoter"):
        load_recipe(str(named), [twice])


@pytest.mark.slow
def test_a_role_of_a_plugin_serves_in_a_run_and_others_go_by_what_it_says(
    evolved: Path, shown: Shown
) -> None:
    measured = [
        event for event in read_topic(evolved, "evaluations") if isinstance(event, Evaluation)
    ]
    said = [event for event in read_topic(evolved, "promotions") if isinstance(event, Promotion)]
    assert [event.weights for event in said] == [event.weights for event in measured]
    promoted = {event.weights_version for event in said if event.decision == "promoted"}
    assert len(promoted) > 1
    partners = [
        sample.turns[0]
        for event in read_topic(evolved, "attempts")
        if isinstance(event, Attempt)
        for sample in event.samples
    ]
    assert {(turn.policy, turn.trainable) for turn in partners} == {("promoted", False)}
    served = {span.version for turn in partners for span in turn.spans}
    assert served <= promoted | {0} and max(served) > 0
    assert re.search("^violations +0$", shown("audit", evolved), re.MULTILINE)
    assert re.search("^promoter +evaluations +nobody", shown("status", evolved), re.MULTILINE)


def test_an_unknown_role_is_told_which_there_are(
    named: Path, tmp_path: Path, refused: Refused
) -> None:
    said = refused("agent", "nobody", "--config", named, "--dir", tmp_path / "r")
    assert said == f"there is no role nobody: there are {', '.join(NAMES)}, promoter"


def test_a_role_of_a_plugin_serves_by_itself(named: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(load_recipe(str(named)))
    told = [
        Evaluation(
            id=derive_id("run", "evaluator", str(number)),
            run="run",
            agent="evaluator",
            weights=derive_id("run", "trainer", str(number)),
            weights_version=number,
            scores=(),
            held_out=held_out,
            seen=0.5,
            seconds=1.0,
        )
        for number, held_out in enumerate((0.2, 0.4, 0.3))
    ]

    async def scenario() -> int:
        async with folder.log(writable=True) as bus:
            await bus.publish(told)
            serving = agent(tmp_path / "said.txt", "promoter", "--dir", str(folder.path))
            try:
                await until(lambda: bus.log.heads()["promotions", 0] == len(told))
                serving.send_signal(signal.SIGTERM)
                return await asyncio.to_thread(serving.wait, 60)
            finally:
                serving.kill()

    assert asyncio.run(scenario()) == 0, (tmp_path / "said.txt").read_text()
    said = [
        event for event in read_topic(folder.path, "promotions") if isinstance(event, Promotion)
    ]
    assert [event.decision for event in said] == ["promoted", "promoted", "rejected"]
