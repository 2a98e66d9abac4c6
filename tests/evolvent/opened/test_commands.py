"""The example run is asked in every way that there is; what is wrong is one sentence."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from pyarrow import parquet

from evolvent import open_run
from evolvent.errors import UsageError
from evolvent.opened.example import RECORDED, write_example
from harness.example import LARGEST_BYTES
from tests.evolvent.conftest import Refused, Shown, newest
from trainer.checkpoint.manifest import THINNED


def test_the_example_is_small_and_whole(example: Path, shown: Shown) -> None:
    assert RECORDED.stat().st_size <= LARGEST_BYTES
    status = json.loads(shown("status", example, "--json"))
    assert status["recipe"] == "words" and status["version"] == newest(example)
    curve = json.loads(shown("curve", example, "--json"))
    assert [curve[0]["version"], curve[-1]["version"]] == [0, status["version"]]
    assert json.loads(shown("audit", example, "--json"))["ok"]


def test_an_example_is_written_to_a_new_folder(
    tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    said = shown("example", tmp_path / "mine")
    assert "evolvent status" in said and (tmp_path / "mine/log.sqlite").exists()
    assert "is there already" in refused("example", tmp_path / "mine")
    (tmp_path / "file").write_text("")
    assert "is there already" in refused("example", tmp_path / "file")


def test_a_question_is_answered_in_every_form(example: Path, tmp_path: Path, shown: Shown) -> None:
    sql = "SELECT version, held_out FROM versions WHERE held_out IS NOT NULL ORDER BY version"
    rows = json.loads(shown("query", example, sql, "--json"))
    assert rows[0]["version"] == 0 and rows[-1]["version"] == newest(example)
    lines = shown("query", example, sql, "--csv").splitlines()
    assert lines[0] == "version,held_out" and len(lines) == len(rows) + 1
    assert shown("query", example, sql).startswith("version  held_out\n      0  ")
    assert shown("query", example, sql, "--out", tmp_path / "a.parquet") == ""
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == rows


def test_the_tables_are_shown_with_their_columns(example: Path, shown: Shown) -> None:
    found = json.loads(shown("query", example, "--tables", "--json"))
    tables = {table["name"]: table for table in found}
    assert tables["turns"]["columns"]["logprobs"] == "FLOAT[]"
    assert {"tasks", "verdicts", "staleness"} <= set(tables)
    assert "reward_by_judge" in shown("query", example, "--tables")


def test_a_question_that_cannot_be_asked_is_one_sentence(
    example: Path, tmp_path: Path, refused: Refused
) -> None:
    assert "syntax error" in refused("query", example, "SELEC 1")
    assert "There are tasks" in refused("query", example, "SELECT * FROM games")
    assert "is not a run" in refused("query", tmp_path / "none", "SELECT 1")
    assert "ask one question" in refused("query", example)
    assert "ask one question" in refused("query", example, "SELECT 1", "--tables")
    for out, says in (
        ("answer.txt", "ends in .csv, .json, .parquet"),
        (example / "recipe.json", "there is such a file"),
        (tmp_path / "none" / "a.csv", "there is no such folder"),
    ):
        assert says in refused("query", example, "SELECT 1", "--out", out)
    read = f"SELECT * FROM read_text('{example / 'recipe.json'}')"
    assert "reads the log and nothing else" in refused("query", example, read)


def test_a_lineage_and_a_trace_of_the_example(
    example: Path, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    version = newest(example)
    found = json.loads(shown("lineage", example, str(version), "--json"))
    assert found["behind"]["versions"] == version and found["path"][-1]["version"] == 0
    source = found["sources"][0]
    came = json.loads(shown("lineage", example, source["task"], "--json"))
    assert came["judgment"] == source["judgment"]
    assert came["learners"][0]["version"] == version
    happened = json.loads(shown("trace", example, source["task"], "--json"))
    assert [one["type"] for one in happened][:4] == ["weights", "task", "attempt", "judgment"]
    [evaluation] = (
        open_run(example)
        .query(f"SELECT id FROM evaluations WHERE weights_version = {version}")["id"]
        .to_pylist()
    )
    assert shown("lineage", example, evaluation) == shown("lineage", example, str(version))
    picture = tmp_path / "lineage.svg"
    shown("lineage", example, str(version), "--picture", picture)
    assert picture.read_text().startswith("<svg ")
    assert "there is such a file" in refused("lineage", example, "1", "--picture", picture)
    assert "there is no version 9999 on the log" in refused("lineage", example, "9999")
    assert "there is no event nothing" in refused("trace", example, "nothing")
    whole = ("lineage", example, source["task"], "--whole")
    assert "is no version" in refused(*whole)


def test_sets_and_models_are_exported(
    example: Path, tmp_path: Path, shown: Shown, refused: Refused
) -> None:
    for what in ("prompts", "pairs", "groups"):
        said = shown("export", example, what, tmp_path / what)
        [rows] = re.findall(r"^([\d,]+) rows of", said)
        assert int(rows.replace(",", "")) > 50
        assert (tmp_path / what / "README.md").exists()
    assert "is there already" in refused("export", example, "pairs", tmp_path / "pairs")
    assert "nothing called all" in refused("export", example, "all", tmp_path / "all")
    assert "there are parquet, jsonl" in refused(
        "export", example, "pairs", tmp_path / "all", "--form", "csv"
    )
    assert "there is no folder" in refused("export", example, "pairs", tmp_path / "no/where")
    assert "is of a model" in refused("export", example, "pairs", tmp_path / "x", "--version", "1")
    assert "there is no version" in refused(
        "export", example, "model", tmp_path / "x", "--version", "9999"
    )


@pytest.mark.slow
def test_an_exported_model_says_what_the_run_says(
    example: Path, tmp_path: Path, shown: Shown
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shown("export", example, "model", tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text()
    version = newest(example)
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert f"# Version {version} of " in card and f"evolvent lineage RUN {version} --whole" in card
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    turn = open_run(example).query(
        "SELECT prompt, prompt_tokens FROM turns JOIN tasks ON tasks.id = turns.task LIMIT 1"
    )
    [prompt], [tokens] = turn["prompt"].to_pylist(), turn["prompt_tokens"].to_pylist()
    assert tokenizer(prompt)["input_ids"] == tokens
    assert model(**tokenizer(prompt, return_tensors="pt")).logits.isfinite().all()


def test_a_model_that_is_not_whole_is_not_exported(tmp_path: Path, refused: Refused) -> None:
    run = tmp_path / "run"
    write_example(run)
    [location] = (
        open_run(run)
        .query("SELECT location FROM weights ORDER BY version DESC LIMIT 1")["location"]
        .to_pylist()
    )
    (run / location / "config.json").write_text("{}")
    assert "config.json is damaged" in refused("export", run, "model", tmp_path / "model")
    (run / location / THINNED).write_text('{"files": []}')
    assert "thinned out" in refused("export", run, "model", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_run_is_opened_in_python(example: Path) -> None:
    run = open_run(example)
    assert run.run.startswith("example-") and run.settings["name"] == "words"
    judgments = run.table("judgments")
    assert judgments.num_rows == run.query("SELECT count(*) AS n FROM judgments")["n"][0].as_py()

    async def cell() -> int:
        # A notebook has an event loop of its own.
        return int(open_run(str(example)).table("attempts").num_rows)

    assert asyncio.run(cell()) >= judgments.num_rows
    with pytest.raises(UsageError, match="there is no table games"):
        run.table("games")
    with pytest.raises(UsageError, match="syntax error"):
        run.query("SELEC")
    with pytest.raises(UsageError, match="is not a run"):
        open_run(example / "checkpoints")
