"""A run of other blocks than the simple ones: two turns, two judges, a filter, a reference; and
without an evaluator."""

import re
from pathlib import Path

import pytest

from agents.engines.scripted import EOS_ID
from bus.events import Attempt, Judgment, Weights
from harness.runs import read_topic
from tests.evolvent.conftest import Refused, Shown, evolve
from trainer.checkpoint.manifest import read_manifest

pytestmark = pytest.mark.slow

BLOCKS = """
[sampler]
type = "second_look"
question = "s>"
learn = "both"
[[judges]]
type = "chance"
[[judges]]
type = "vote"
threshold = 0.0
[critic]
combine = "sum"
weights = [1.0, 0.25]
[filter]
type = "band"
low = 0.0
high = 0.5
[loss]
type = "grpo"
steps = 2
kl = 0.1
reference = "previous"
"""


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has ended; nobody writes to it."""
    folder = tmp_path_factory.mktemp("blocks")
    left = ["proposer", "solver", "critic", "trainer"]
    laid_out = f'[run]\nwithout = ["evaluator"]\nprocesses = [{left}]'
    whole = tiny.read_text().replace("[run]", laid_out)
    (folder / "blocks.toml").write_text(whole + BLOCKS)
    done = evolve(folder / "run", 5, "--recipe", str(folder / "blocks.toml"))
    (folder / "run" / "shown.txt").write_text(done.stdout)
    return folder / "run"


def test_every_block_does_its_part(run: Path, shown: Shown) -> None:
    attempts = [event for event in read_topic(run, "attempts") if isinstance(event, Attempt)]
    turns = [sample.turns for attempt in attempts for sample in attempt.samples]
    assert {tuple((turn.seat, turn.trainable) for turn in each) for each in turns} == {
        (("first", True), ("second", True))
    }
    for first, second in turns:
        read = (*first.prompt_tokens, *(token for token in first.tokens if token > EOS_ID))
        assert second.prompt_tokens[: len(read)] == read
    judgments = {event.id: event for event in read_topic(run, "judgments")}
    for judgment in judgments.values():
        assert isinstance(judgment, Judgment) and judgment.critic == "sum(chance,vote)"
        for verdict in judgment.verdicts:
            chance, vote = verdict.combined
            assert (chance.provenance, vote.provenance) == ("chance", "vote")
            assert verdict.reward == chance.reward + 0.25 * vote.reward
    versions = [event for event in read_topic(run, "weights") if isinstance(event, Weights)]
    assert len(versions) > 3
    shares = []
    for weights in versions[1:]:
        trained = [judgments[one.id] for one in read_manifest(run / weights.location).trained]
        share = [one for one in trained if isinstance(one, Judgment) and one.success <= 0.5]
        assert weights.metrics["chosen"] == len(share)
        shares.append(len(share) / len(trained))
    assert min(shares) < 1 and max(shares) > 0
    assert any(weights.metrics["steps"] for weights in versions[1:])
    assert re.search("^violations +0$", shown("audit", run), re.MULTILINE)


def test_a_run_without_an_evaluator_ends_well(run: Path, shown: Shown, refused: Refused) -> None:
    assert "No version was evaluated" in (run / "shown.txt").read_text()
    assert not read_topic(run, "evaluations")
    assert "evaluator" not in shown("status", run)
    said = refused("run", "--dir", run, "--until", "0.9")
    assert said == "--until needs an evaluator, which this recipe leaves out"
    assert "there is no role evaluator" in refused("pause", run, "evaluator")
