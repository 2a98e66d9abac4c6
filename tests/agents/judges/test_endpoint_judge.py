"""A judge behind HTTP: what it is asked, how its replies are read, and what becomes of every way in
which it can fail."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agents.critic import Critic
from agents.engines.engine import EngineUnusable
from agents.engines.scripted import ScriptedEngine
from agents.judges.endpoint import EndpointConfig
from bus.codec import decode, encode
from bus.events import Attempt, Judgment, Verdict
from bus.runner import Rejected
from tests.agents.asking import RUN, attempt, task
from tests.agents.engines.checkpoint.tiny_checkpoint import save_checkpoint
from tests.agents.engines.openai.serving import serving
from tests.agents.judges.grading import Answer, Grader, Script, completion, grader, says
from tests.agents.parts import parts_for

QUICK: dict[str, Any] = {"model": "grader", "timeout_seconds": 30.0, "patience_seconds": 60.0}
ASKED = attempt(task("r1234"), ["4321", "1111", "4321", None])


def judged(
    script: Script, tried: Attempt = ASKED, **settings: Any
) -> tuple[tuple[Verdict, ...], Grader]:
    with grader(script) as found:
        config = EndpointConfig(url=found.url, **{**QUICK, **settings})
        return asyncio.run(config.build(parts_for()).judge(tried)), found


def by_the_answer(body: dict[str, Any]) -> Answer:
    right = "Answer: 4321" in body["messages"][0]["content"]
    return completion(f"It was asked to reverse. Score: {5 if right else 1}")


def test_every_different_answer_is_asked_about_once_and_what_was_said_is_kept() -> None:
    verdicts, found = judged(by_the_answer)
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.2, 1.0, 0.0]
    assert [verdict.reason for verdict in verdicts] == [
        "approved", "in between", "approved", "not ended",
    ]  # fmt: skip
    assert len(found.asked) == 2 and set(found.paths) == {"/v1/chat/completions"}
    first, _, _, cut = verdicts
    assert cut.call is None and first.call is not None
    prompts = {body["messages"][0]["content"] for body in found.asked}
    assert first.call.asked in prompts and ASKED.task.question in first.call.asked
    assert first.call.answer == "It was asked to reverse. Score: 5"
    assert first.call.model == "grader-1"
    assert {body["model"] for body in found.asked} == {"grader"}


def test_the_key_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADER_KEY", "s3cret")
    verdicts, found = judged(by_the_answer, key_variable="GRADER_KEY")
    assert {headers["Authorization"] for headers in found.headers} == {"Bearer s3cret"}
    assert "s3cret" not in "".join(verdict.model_dump_json() for verdict in verdicts)
    monkeypatch.delenv("GRADER_KEY")
    with pytest.raises(EngineUnusable, match="is not in the environment: set GRADER_KEY"):
        judged(by_the_answer, key_variable="GRADER_KEY")


READ = {
    "Score: 5": 1.0,
    "Score:0": 0.0,
    "Score: 1? No. Score: **4**": 0.8,
    "Score: 5/5.": 1.0,
    "Score: 45": None,
    "Score: 4.5": None,
    "Score: good": None,
    "5": None,
    "": None,
    "Score:": None,
    "Score: -1": None,
}


@pytest.mark.parametrize(("reply", "worth"), READ.items())
def test_a_reply_is_a_grade_or_says_nothing(reply: str, worth: float | None) -> None:
    [verdict], _ = judged(says(reply), attempt(task("r12"), ["21"]))
    assert verdict.known == (worth is not None)
    assert verdict.reward == (worth or 0.0)
    assert verdict.call is not None and verdict.call.answer == reply


def test_without_a_mark_the_reply_begins_with_the_grade() -> None:
    config = EndpointConfig(url="http://h/v1", model="m", behind="", scale=("no", "yes"))
    assert [config.grade(said) for said in ("Yes.", " no", "yesterday", "Well, yes")] == [
        1.0, 0.0, None, None,
    ]  # fmt: skip


def test_a_reply_without_text_is_data() -> None:
    [verdict], _ = judged(says(None), attempt(task("r12"), ["21"]))
    assert not verdict.known and verdict.reason == "no grade"


def failing(*first: Answer | float) -> Script:
    """Fails as `first` says, once each, or is silent for so many seconds; then it judges."""
    left: Iterator[Answer | float] = iter(first)

    def script(body: dict[str, Any]) -> Answer:
        now = next(left, None)
        if isinstance(now, float):
            time.sleep(now)
        return now if isinstance(now, tuple) else completion("Score: 5")

    return script


GARBAGE = (b"<html>gateway</html>", b"", b"{}", b"[]", b'{"choices": [{}]}', b"\xff\xfe", b"null")


@pytest.mark.parametrize(
    "failure",
    [(500, b"oops"), (503, b""), (429, b"slow down"), 3.0, *((200, data) for data in GARBAGE)],
    ids=str,
)
def test_what_fails_for_a_moment_is_asked_again(failure: Answer | float) -> None:
    silent = isinstance(failure, float)
    asked = attempt(task("r12"), ["21"])
    [verdict], found = judged(failing(failure), asked, timeout_seconds=1.0 if silent else 30.0)
    assert verdict.reward == 1.0
    assert len(found.asked) >= 2 if silent else len(found.asked) == 2


ALWAYS = {
    (500, b"oops"): "does not answer .it answers 500: 'oops'.: start it, or name another",
    (200, b"garbage"): "does not answer .no answer of OpenAI's API: 'garbage'",
    (401, b"who"): "wants a key, whose variable judge.key_variable names; it answers 401",
    (404, b"no"): "there is no model grader there, or judge.url should end in /v1",
    (418, b"tea"): "cannot be used: it answers 418: 'tea'",
}


@pytest.mark.parametrize(("failure", "said"), ALWAYS.items(), ids=str)
def test_what_fails_for_good_is_one_sentence(failure: Answer, said: str) -> None:
    with pytest.raises(EngineUnusable, match=said):
        judged(lambda body: failure, patience_seconds=0.1)


def test_a_prompt_that_is_refused_is_at_fault_itself() -> None:
    with pytest.raises(Rejected, match="refuses a prompt: it answers 400: 'too long'"):
        judged(lambda body: (400, b"too long"))


def test_nobody_there_is_one_sentence() -> None:
    config = EndpointConfig(url="http://127.0.0.1:9/v1", **{**QUICK, "patience_seconds": 0.1})
    with pytest.raises(EngineUnusable, match="1:9/v1 does not answer"):
        asyncio.run(config.build(parts_for()).judge(ASKED))


def test_what_was_recorded_is_judged_again_without_an_endpoint() -> None:
    async def written() -> Judgment:
        judge = EndpointConfig(url=found.url, **QUICK).build(parts_for())
        [judgment] = await Critic(RUN, judge, "endpoint").handle(ASKED)
        _, headers, value = encode(judgment)
        event = decode(headers, value)
        assert isinstance(event, Judgment)
        return event

    with grader(by_the_answer) as found:
        read = asyncio.run(written())
    judge = EndpointConfig(url="http://gone.invalid/v1", **QUICK).build(parts_for())
    assert judge.again(read.attempt, read.verdicts) == read.verdicts
    [right, wrong, *_] = read.verdicts
    swapped = judge.again(read.attempt, (wrong, right, *read.verdicts[2:]))
    assert [verdict.known for verdict in swapped] == [False, False, True, True]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "grader.example"}, "write it as https://HOST/v1"),
        ({"key_variable": "sk-123"}, "never the key itself"),
        ({"template": "{question}"}, "must show the {answer}"),
        ({"scale": ("a", "A ")}, "a text of its own"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EndpointConfig(**{"url": "http://h/v1", "model": "m", **settings})


def test_a_run_that_is_served_is_such_an_endpoint(tmp_path: Path) -> None:
    """Here behind `evolvent serve`'s own routes a model that follows a script."""

    async def scenario() -> tuple[Verdict, ...]:
        checkpoint = save_checkpoint(tmp_path / "0")
        graded = lambda _: ScriptedEngine(lambda *_: "Score: 5")  # noqa: E731
        async with serving(graded, tmp_path, {0: checkpoint}) as server:
            config = EndpointConfig(url=f"{server.url}/v1", **{**QUICK, "model": "current"})
            return await config.build(parts_for()).judge(ASKED)

    verdicts = asyncio.run(scenario())
    assert [verdict.reward for verdict in verdicts] == [1.0, 1.0, 1.0, 0.0]
    assert verdicts[0].call is not None and verdicts[0].call.answer == "Score: 5"
