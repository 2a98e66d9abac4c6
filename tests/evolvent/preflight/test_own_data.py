"""A user's own data is looked at before anything starts: one sentence, exit code 2."""

import json
from pathlib import Path
from typing import Any

import pytest

from bus.memory.bus import MemoryBus
from evolvent.cli import main
from evolvent.errors import UsageError
from evolvent.preflight.preflight import check, positions
from evolvent.recipe.load import load_recipe
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import prepare
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from tests.agents.domains.dataset.data import reversed_words, written

UNLABELED = ["domain.unlabeled=true", "judge.type=vote"]
NO_WARMUP = ["warmup.steps=0", "loss.warmup_rows=0"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "my.jsonl", reversed_words(500))


def recipe_of(path: Path, *settings: str) -> Recipe:
    return load_recipe("words", ["domain.type=dataset", f"domain.path={path}", *settings])


def refused(path: Path, *settings: str) -> str:
    with pytest.raises(UsageError) as error:
        check(path.parent / "run", recipe_of(path, *settings))
    return str(error.value)


def without_answers(path: Path, number: int | None = None) -> Path:
    rows: list[dict[str, Any]] = reversed_words(500)
    for row in rows if number is None else rows[number - 1 : number]:
        del row["answer"]
    return written(path, rows)


def test_good_data_passes_and_nothing_is_written(data: Path) -> None:
    for source in ("curriculum", "uniform"):
        check(data.parent / "run", recipe_of(data, f"source.type={source}"))
    assert [path.name for path in data.parent.iterdir()] == ["my.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["domain.path=nowhere.jsonl"], "nowhere.jsonl does not exist: name a file or folder"),
        (["domain.path=my.jsonl", "domain.prompt=ask"], "line 1 of my.jsonl has no 'ask', it has"),
        (["domain.path=broken.jsonl"], "line 2 of broken.jsonl is no JSON: mend it"),
        (["domain.path=empty.jsonl"], "empty.jsonl has no rows: write one for each prompt"),
        (["domain.path=my.jsonl", "domain.held_out=2"], "domain.held_out = 2: Input should be"),
    ],
)
def test_the_command_says_what_is_wrong_and_starts_nothing(
    words: list[str],
    said: str,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(data.parent)
    Path("broken.jsonl").write_text('{"prompt": "a", "answer": "b"}\n{broken\n')
    Path("empty.jsonl").write_text("")
    settings = [part for word in ("domain.type=dataset", *words) for part in ("--set", word)]
    with pytest.raises(SystemExit) as ended:
        main(["run", "--dir", "run", *settings])
    told = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2
    assert said in told and "Traceback" not in told
    assert not Path("run").exists()


def test_every_row_is_looked_at_not_a_sample(data: Path) -> None:
    odd = {"prompt": "caf\u00e9>", "answer": "efac"}
    written(data, [*reversed_words(500), odd])
    assert "line 501 of my.jsonl: the model's alphabet lacks 'é', which 'café>'" in refused(
        data, "model.vocab=64"
    )
    check(data.parent / "run", recipe_of(data))


def test_what_is_longer_than_the_model_reads_is_told_by_its_line(data: Path) -> None:
    written(data, [*reversed_words(500), {"prompt": "a" * 90, "answer": "b"}])
    said = refused(data, "model.max_positions=64", "domain.by_length=1")
    assert (
        "line 501 of my.jsonl needs 92 tokens, 90 to read and 2 to write; the model reads" in said
    )


def test_a_fresh_model_reads_the_longest_row(data: Path) -> None:
    written(data, [*reversed_words(500), {"prompt": "a" * 300, "answer": "b" * 200}])
    recipe = recipe_of(data)
    assert positions(recipe, recipe.domain.build()) >= 500


def test_a_judge_that_needs_answers_is_told(data: Path) -> None:
    without_answers(data)
    said = refused(data, "domain.unlabeled=true")
    assert "of my.jsonl has no answer, and judge.type = 'exact' compares with it" in said
    said = refused(data, *UNLABELED)
    assert "is held out and has no answer, and the evaluator compares with it" in said
    said = refused(data, *UNLABELED, 'run.without=["evaluator"]')
    assert said.startswith("warmup.steps = 200 needs prompts with answers to show")
    alone = [*UNLABELED, *NO_WARMUP, 'run.without=["evaluator"]']
    check(data.parent / "run", recipe_of(data, *alone))


def test_a_file_with_answers_measures_what_is_asked_without(data: Path) -> None:
    without_answers(data)
    kept = written(data.parent / "kept.jsonl", reversed_words(80, seed=6))
    settings = [*UNLABELED, *NO_WARMUP, f"domain.held_out_path={kept}"]
    check(data.parent / "run", recipe_of(data, *settings))


def started(path: Path, *settings: str) -> tuple[RunFolder, Recipe]:
    folder, recipe = RunFolder(path.parent / "run"), recipe_of(path, *settings)
    folder.create(recipe)
    return folder, recipe


def test_a_run_stores_which_data_it_was_and_refuses_another(data: Path) -> None:
    folder, recipe = started(data)
    stored = json.loads(folder.recipe_file.read_text())["recipe"]["domain"]
    assert (stored["path"], stored["sha256"]) == (str(data), recipe.domain.model_dump()["sha256"])
    assert prepare(folder, recipe_of(data)).digest == recipe.digest
    written(data, reversed_words(501))
    with pytest.raises(UsageError, match=r"is not the data that .*run was started with: its sha"):
        prepare(folder, recipe_of(data))
    with pytest.raises(UsageError, match=r"my.jsonl has changed: its sha256 is .* restore it, or"):
        check(folder.path, prepare(folder, None))
    with pytest.raises(UsageError, match="with another recipe or other settings"):
        prepare(folder, recipe_of(data, "seed=2"))


def test_the_same_data_may_lie_elsewhere(data: Path) -> None:
    folder, recipe = started(data)
    moved = data.rename(data.parent / "moved.jsonl")
    goes_on = prepare(folder, recipe_of(moved))
    assert goes_on.digest == recipe.digest
    assert goes_on.domain.model_dump()["path"] == moved
    check(folder.path, goes_on)


def test_a_process_of_the_run_says_in_a_sentence_that_its_data_is_gone(data: Path) -> None:
    folder, recipe = started(data)
    data.unlink()
    place = Workplace(folder.path, folder.run_id, recipe, MemoryBus(), LogVoice())
    with pytest.raises(UsageError, match=r"^domain.type = 'dataset' cannot be built: .* not exist"):
        _ = place.parts.domain
