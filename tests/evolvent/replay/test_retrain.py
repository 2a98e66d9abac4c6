"""A run trained again: the same versions bit for bit, or others beside them."""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evolvent.errors import UsageError
from evolvent.replay.beginning import check_fits
from evolvent.replay.retrain import FOUND
from evolvent.replay.shown import retrained_shown
from tests.evolvent.conftest import Refused, Shown, newest
from tests.trainer.lessons import judgment, learner


def digests(run: Path) -> dict[str, str]:
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and not path.name.startswith("log.sqlite-")
    }


@pytest.fixture
def retrained(lived: Path, shown: Shown) -> Any:
    """Runs the command on a run that has ended; what it found."""

    def retrain(*words: str | int | Path) -> dict[str, Any]:
        said = shown("replay", "retrain", lived, *map(str, words), "--json")
        found: dict[str, Any] = json.loads(said)
        return found

    return retrain


def read_by_people(found: dict[str, Any]) -> str:
    screen = Console(width=200, record=True, file=io.StringIO())
    screen.print(retrained_shown(found))
    return screen.export_text()


def test_the_same_settings_make_the_same_weights_bit_for_bit(lived: Path, retrained: Any) -> None:
    before = digests(lived)
    found = retrained("--until", 3)
    assert (found["same"], found["differ"], found["resumed"]) == (3, 0, True)
    assert [row["largest_difference"] for row in found["versions"]] == [0.0] * 3
    assert [row["loss"] == row["was_loss"] for row in found["versions"]] == [True] * 3
    assert [row["version"] for row in found["curve"]] == [0]
    assert digests(lived) == before
    assert "of 3 versions 3 have the same weights" in read_by_people(found)


def test_from_a_version_with_what_training_resumes_from(lived: Path, retrained: Any) -> None:
    found = retrained("--from", newest(lived) - 1, "--until", newest(lived))
    assert (found["same"], found["differ"], found["resumed"]) == (1, 0, True)


def test_without_that_a_fresh_optimiser_goes_on(copied: Path, shown: Shown) -> None:
    for state in (copied / "checkpoints").glob("v000001-*/state"):
        shutil.rmtree(state)
    words = ("--from", "1", "--until", "2", "--json")
    found = json.loads(shown("replay", "retrain", copied, *words))
    assert not found["resumed"] and [row["version"] for row in found["versions"]] == [2]
    assert "a fresh optimiser went on from its weights" in read_by_people(found)


def test_by_other_settings_in_a_folder_that_is_a_run(
    lived: Path, retrained: Any, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    out = tmp_path / "again"
    words = ("--until", "2", "--set", "loss.steps=1", "--set", "judge.type=chance")
    found = retrained(*words, "--out", out)
    assert (found["same"], found["differ"]) == (0, 2)
    assert all(row["largest_difference"] > 0 for row in found["versions"])
    assert json.loads((out / FOUND).read_text()) == found
    assert json.loads(shown("audit", out, "--json"))["ok"]
    asked = ("ask", out, "r12", "--version", "0", "--version", "2", "--json")
    assert [one["version"] for one in json.loads(shown(*asked))] == [0, 2]
    [curve] = json.loads(shown("curve", out, "--json"))
    assert curve["version"] == 0
    assert "is there already" in refused("replay", "retrain", lived, *words, "--out", out)


def test_another_model_learns_from_the_log(retrained: Any) -> None:
    small = ("--set", "model.layers=1", "--set", "warmup.steps=2", "--set", "loss.type=grpo")
    found = retrained("--start", "new", "--until", 2, *small)
    assert found["from"] == "new" and found["versions"] == []
    [row] = found["curve"]
    assert row["version"] == 0 and row["was"].keys() == row["now"].keys()
    assert "from a new version 0 to version 2" in read_by_people(found)


WRONG = [
    ("--until 999999", "there is no version 999999 to train again: there are 0 to"),
    ("--until 1 --from 1", "--from 1 must lie below --until 1"),
    ("--until 1 --start over", "--start over: there is new"),
    ("--until 2 --start new --from 1", "leave out --from"),
    ("--until 1 --set model.layers=3", "retrain takes judge, judges, critic, filter, loss"),
    ("--until 1 --set loss.type=ppo", "there are 'nll'"),
    ("--until 1 --recipe nonesuch", "there is no recipe nonesuch"),
    ("--until 1 --out /nonesuch/there", "there is no folder /nonesuch"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_is_wrong_is_one_sentence(
    lived: Path, refused: Refused, words: str, said: str
) -> None:
    assert said in refused("replay", "retrain", lived, *words.split())


def test_a_model_that_reads_too_little_is_refused() -> None:
    small, long = learner(), judgment(1)
    reads = small.model.config.max_position_embeddings
    [sample, *_] = long.attempt.samples
    [said] = sample.turns
    wider = said.model_copy(update={"prompt_tokens": (2,) * reads})
    samples = (sample.model_copy(update={"turns": (wider,)}),)
    attempt = long.attempt.model_copy(update={"samples": samples})
    check_fits(small, [long])
    with pytest.raises(UsageError, match=f"the new model reads {reads}: set model.max_positions"):
        check_fits(small, [long.model_copy(update={"attempt": attempt})])
