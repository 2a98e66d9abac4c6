"""The example run judged again: by its own judge nothing changes, by another one much does."""

import asyncio
import hashlib
import io
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agents.critic import Critic
from agents.engines.scripted import ScriptedEngine
from agents.policies.policy import Policies
from bus.events import Judgment
from bus.memory.bus import MemoryBus
from evolvent.errors import UsageError
from evolvent.recipe.load import changed_recipe, load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.replay.judges import judges_again, policy_at_the_end
from evolvent.replay.shown import differences_shown
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from harness.runs import read_topic
from observability.replay.again import Again
from observability.replay.rejudged import DIFFERENCES, VERDICTS, VERSIONS
from tests.agents.asking import attempt, task
from tests.agents.parts import parts_for
from tests.evolvent.conftest import Refused, Shown


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def read_by_people(found: dict[str, Any]) -> str:
    screen = Console(width=200, record=True, file=io.StringIO())
    screen.print(differences_shown(found))
    return screen.export_text()


def test_the_same_judge_changes_nothing(example: Path, shown: Shown) -> None:
    before = hashlib.sha256((example / "log.sqlite").read_bytes()).hexdigest()
    found = json.loads(shown("replay", "rejudge", example, "--json"))
    assert found["none"] and found["judge"] == "exact" and found["unreadable"] == 0
    assert found["verdicts"]["judgments"] == len(read_topic(example, "judgments"))
    assert found["verdicts"]["differ"] == found["advantages"]["differ"] == 0
    assert found["versions"]["compared"] == len(read_topic(example, "weights"))
    assert 0 < found["overhead_seconds"] < found["seconds"]
    assert hashlib.sha256((example / "log.sqlite").read_bytes()).hexdigest() == before
    assert "nothing would have been otherwise" in read_by_people(found)


def test_another_judge_writes_what_it_would_have_said(
    example: Path, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    words = ("replay", "rejudge", example, "--judge", "vote", "--out", tmp_path / "vote")
    found = json.loads(shown(*words, "--json"))
    judged = {one.id: one for one in read_topic(example, "judgments") if isinstance(one, Judgment)}
    written = [line["value"] for line in lines(tmp_path / "vote" / VERDICTS)]
    assert {one["judgment"] for one in written} == judged.keys()
    pairs = [
        pair
        for one in written
        for pair in zip(one["verdicts"], judged[one["judgment"]].verdicts, strict=True)
    ]
    differ = sum(now["reward"] != was.reward or not now["known"] for now, was in pairs)
    assert differ == found["verdicts"]["differ"] > 0
    versions = lines(tmp_path / "vote" / VERSIONS)
    assert len(versions) == found["versions"]["differ"]
    assert versions[0]["version"] == found["versions"]["first"] == 1
    assert json.loads((tmp_path / "vote" / DIFFERENCES).read_text()) == found
    assert "is there already" in refused(*words)
    said = read_by_people(found)
    assert "from version 1 on the run would have gone another way" in said
    assert re.search(r"verdicts +\d", said) and "majority" in said


def test_a_filter_and_a_limit_of_staleness(example: Path, shown: Shown) -> None:
    settings = ("--set", "filter.type=band", "--set", "trainer.max_staleness=0")
    found = json.loads(shown("replay", "rejudge", example, *settings, "--json"))
    assert found["verdicts"]["differ"] == 0 and not found["none"]
    assert found["batches"]["would_be_stale"] > 0 and found["batches"]["would_filter"] > 0


WRONG = [
    ("--judge oracle", "there are 'exact', 'vote'"),
    ("--set solver.samples=3", "rejudge takes judge, judges, critic, filter, loss"),
    ("--set trainer.size=3", "trainer.max_staleness"),
    ("--set judge.foo=3", "judge.foo"),
    ("--recipe nonesuch", "there is no recipe nonesuch"),
    ("--judge game", "are no games"),
    ("--judge model --set judge.policy=nobody", "there is no policy nobody"),
    ("--out /nonesuch/there", "there is no folder /nonesuch"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_is_wrong_is_one_sentence(
    example: Path, refused: Refused, words: str, said: str
) -> None:
    assert said in refused("replay", "rejudge", example, *words.split())


def graded(*settings: str) -> Recipe:
    judge = ("judge.type=policy", 'judge.scale=["n", "y"]', "judge.judgments=2")
    return changed_recipe(load_recipe("strings"), [*judge, *settings], to_run=False)


def test_a_judge_whose_replies_are_on_the_log_asks_nobody(tmp_path: Path) -> None:
    def again(*settings: str) -> Again:
        place = Workplace(tmp_path, "run", graded(*settings), bus, LogVoice())
        return judges_again(graded(), place, Policies(partial(policy_at_the_end, place)))

    async def scenario() -> None:
        replies = iter(("y", "n", "n", "n"))
        engine = ScriptedEngine(lambda *_: next(replies), version=0)
        critic = Critic("run", graded().judge.build(parts_for(engine=engine)), "policy")
        [judged] = await critic.handle(attempt(task("r12"), ["21", "12", None]))
        assert await again().judge([judged]) == [judged.verdicts]
        [turned] = await again('judge.scale=["y", "n"]').judge([judged])
        assert [not isinstance(one, str) and one.reward for one in turned] == [0.5, 1.0, 0.0]
        with pytest.raises(UsageError, match="asks the policy current, and the weights"):
            again("judge.template={answer}?")

    bus = MemoryBus()
    asyncio.run(scenario())


@pytest.mark.long
def test_a_model_whose_weights_are_there_is_asked(example: Path, shown: Shown) -> None:
    words = ("--judge", "model", "--set", "judge.template=r{answer}>", "--set", "judge.yes=a")
    found = json.loads(shown("replay", "rejudge", example, *words, "--json"))
    assert found["verdicts"]["rejected"] == 0 and found["verdicts"]["differ"] > 0


@pytest.mark.long
def test_an_endpoint_that_is_not_there_is_one_sentence(example: Path, refused: Refused) -> None:
    endpoint = 'judges=[{type="endpoint", url="http://127.0.0.1:9/v1", model="m"}]'
    assert "127.0.0.1:9" in refused("replay", "rejudge", example, "--set", endpoint)
