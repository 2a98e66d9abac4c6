"""An endpoint that judges is asked once before anything starts, by whoever judges."""

import pytest

from agents.domains.strings import StringsConfig
from evolvent.errors import UsageError
from evolvent.preflight import endpoints
from evolvent.preflight.endpoints import check_endpoints
from evolvent.recipe.load import load_recipe
from evolvent.recipe.recipe import Recipe
from tests.agents.judges.grading import Script, grader, says

PROBLEMS = [StringsConfig().build().pose("r1234")]
NOWHERE = "http://127.0.0.1:9/v1"


def judged_at(url: str) -> Recipe:
    judge = f"judge={{type='endpoint', url='{url}', model='grader'}}"
    return load_recipe("strings", [judge])


def test_it_is_asked_about_a_right_answer() -> None:
    with grader(says("Score: 5")) as found:
        check_endpoints(judged_at(found.url), PROBLEMS, None)
    [body] = found.asked
    assert "Answer: 4321" in body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (lambda body: (404, b"no"), "there is no model grader there"),
        (lambda body: (401, b"no"), "wants a key"),
        (lambda body: (400, b"no"), "refuses a prompt"),
        (lambda body: (200, b"garbage"), "no answer of OpenAI's API"),
    ],
)
def test_one_that_cannot_judge_is_a_sentence(
    script: Script, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "_PATIENCE_SECONDS", 0.01)
    with grader(script) as found, pytest.raises(UsageError, match=said):
        check_endpoints(judged_at(found.url), PROBLEMS, None)


def test_one_out_of_reach_is_a_sentence_where_the_critic_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "_PATIENCE_SECONDS", 0.01)
    with pytest.raises(UsageError, match=f"the judge at {NOWHERE} does not answer"):
        check_endpoints(judged_at(NOWHERE), PROBLEMS, ["critic"])
    check_endpoints(judged_at(NOWHERE), PROBLEMS, ["solver", "trainer"])
