"""What a deep audit asks of samples that had a hint: they come on top, and are learned after the
prompt of the task, never after the hint."""

from collections.abc import Sequence

from bus.events import Attempt, Sample
from observability.audit.deep.samples import Samples
from observability.audit.findings import Findings
from tests.trainer.test_hints import HINTED, PLAIN, hinted


def said(attempt: Attempt, wanted: int) -> list[str]:
    findings = Findings()
    Samples(wanted, findings).check(attempt, "attempts/0/7")
    findings.say_gathered()
    return [violation.sentence for violation in findings.violations]


def learned_after(prompt: Sequence[int]) -> Attempt:
    """Its one sample with a hint is learned after `prompt`."""
    attempt = hinted([0.0, 0.0], [1.0]).attempt
    *plain, aided = attempt.samples
    turn = aided.turns[0].model_copy(update={"learned_prompt": tuple(prompt)})
    return attempt.model_copy(update={"samples": (*plain, Sample(turns=(turn,)))})


def test_hinted_samples_come_on_top_of_those_that_were_asked_for() -> None:
    assert said(learned_after(PLAIN), wanted=2) == []
    [sentence] = said(learned_after(PLAIN), wanted=3)
    assert "another number of samples" in sentence


def test_a_hint_that_would_be_learned_is_found() -> None:
    [sentence] = said(learned_after(HINTED), wanted=2)
    assert "attempts/0/7 has a sample that would be learned after another prompt" in sentence
