"""Files of every form are read alike; what is wrong with one is told with its place."""

import builtins
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.domains.dataset import reading
from agents.domains.dataset.dataset import DatasetConfig
from tests.agents.domains.dataset.data import reversed_words, written

GOOD = '{"prompt": "ab>", "answer": "ba"}\n'


def told(path: Path, **fields: Any) -> str:
    with pytest.raises(ValueError) as refused:
        DatasetConfig(path=path, **fields).build()
    said = str(refused.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        ("", {}, "has no rows"),
        ("\n \n", {}, "has no rows"),
        (GOOD + "{broken\n", {}, "line 2 of my.jsonl is no JSON"),
        (GOOD + "\n" + "[" * 100_000, {}, "line 3 of my.jsonl is no JSON"),
        ('["ab>", "ba"]\n', {}, "line 1 of my.jsonl is no JSON object"),
        (GOOD, {"prompt": "question"}, "line 1 of my.jsonl has no 'question', it has 'prompt', "),
        (GOOD, {"answer": "label"}, "name the column in domain.answer, or set domain.unlabeled"),
        (GOOD, {"level": "hard"}, "line 1 of my.jsonl: the level None in 'hard' is no whole"),
        ('{"prompt": " ", "answer": "a"}', {}, "'prompt' is empty"),
        ('{"prompt": "a", "answer": ""}', {}, "'answer' is empty"),
        ('{"prompt": "a", "answer": true}', {}, "'answer' is neither text nor a number"),
        ('{"prompt": "a", "answer": NaN}', {}, "'answer' is neither text nor a number"),
        ('{"prompt": "a\\ud800", "answer": "b"}', {}, "'prompt' has half a character in it"),
        (json.dumps({"prompt": "a" * 65_537}), {}, "has 65,537 bytes, at most 65,536 may be"),
        ('{"prompt": "a", "answer": ["b", "c"]}', {}, "let domain.scorer be one_of"),
        ('{"prompt": "a", "answer": []}', {"scorer": "one_of"}, "line 1 of my.jsonl has no answer"),
        ('{"prompt": "a", "answer": "x1"}', {"scorer": "numeric"}, "finds no number"),
        (GOOD + GOOD.replace('"ba"', '"b"'), {}, "line 2 of my.jsonl answers the prompt of line 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "my.jsonl"
    path.write_text(text)
    assert said in told(path, **fields)


def test_so_is_what_is_not_there(tmp_path: Path) -> None:
    assert "nowhere.jsonl does not exist" in told(tmp_path / "nowhere.jsonl")
    assert "has no .jsonl and no .parquet file" in told(tmp_path)
    (tmp_path / "my.csv").write_text("prompt,answer\n")
    assert "my.csv ends neither in .jsonl nor in .parquet" in told(tmp_path / "my.csv")
    (tmp_path / "dataset_dict.json").write_text("{}")
    assert "holds several splits: name one of its folders" in told(tmp_path)


def test_no_more_is_read_than_the_limits_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "my.jsonl", reversed_words(30))
    monkeypatch.setattr(reading, "MAX_ROWS", 29)
    assert "my.jsonl goes beyond 29 rows" in told(path)
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    assert "100 can be read: choose a part of it" in told(path)


def test_a_folder_is_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    rows = reversed_words(60)
    folder = tmp_path / "parts"
    folder.mkdir()
    written(folder / "b.jsonl", rows[30:])
    written(folder / "a.jsonl", rows[:30])
    (folder / "README.md").write_text("not read")
    asked, kept = DatasetConfig(path=folder).entries()
    assert {entry.prompt for entry in asked + kept} == {row["prompt"] for row in rows}
    assert asked[0].place.endswith("of a.jsonl")
    whole = DatasetConfig(path=written(tmp_path / "my.jsonl", rows)).entries()
    assert [entry.prompt for entry in asked] == [entry.prompt for entry in whole[0]]


def test_a_mark_at_the_beginning_and_other_ends_of_lines_are_none_of_it(tmp_path: Path) -> None:
    path = tmp_path / "my.jsonl"
    lines = "".join(json.dumps(row) + "\r\n" for row in reversed_words(40))
    path.write_bytes(b"\xef\xbb\xbf" + lines.encode())
    asked, kept = DatasetConfig(path=path).entries()
    assert len(asked) + len(kept) == 40


def test_a_pinned_config_knows_its_bytes_and_refuses_others(tmp_path: Path) -> None:
    path = written(tmp_path / "my.jsonl", reversed_words(40))
    pinned = DatasetConfig(path=path).pinned()
    assert pinned.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    pinned.build()
    moved = path.rename(tmp_path / "moved.jsonl")
    pinned.model_copy(update={"path": moved}).build()
    written(path, reversed_words(41))
    with pytest.raises(ValueError, match=r"my.jsonl has changed: its sha256 is [0-9a-f]{12}…"):
        pinned.build()


def test_what_a_second_file_holds_counts_too(tmp_path: Path) -> None:
    path = written(tmp_path / "my.jsonl", reversed_words(40))
    kept = written(tmp_path / "kept.jsonl", reversed_words(10, seed=6))
    pinned = DatasetConfig(path=path, held_out_path=kept).pinned()
    written(kept, reversed_words(11, seed=6))
    with pytest.raises(ValueError, match="has changed"):
        pinned.build()


def test_without_pyarrow_a_table_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "my.parquet").write_bytes(b"PAR1")
    assert "uv pip install pyarrow" in told(tmp_path / "my.parquet")


def saved_as_parquet(arrow: Any, rows: list[dict[str, Any]], folder: Path) -> Path:
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist(rows), folder / "my.parquet")
    return folder / "my.parquet"


def saved_to_disk(arrow: Any, rows: list[dict[str, Any]], folder: Path) -> Path:
    """As `datasets.save_to_disk` leaves it."""
    table = arrow.Table.from_pylist(rows)
    name = "data-00000-of-00001.arrow"
    with arrow.ipc.new_stream(str(folder / name), table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    return folder


@pytest.mark.parametrize("save", [saved_as_parquet, saved_to_disk])
def test_tables_are_read_as_lines_are(save: Callable[..., Path], tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    rows = reversed_words(60)
    lines = DatasetConfig(path=written(tmp_path / "lines.jsonl", rows)).entries()
    (tmp_path / "table").mkdir()
    path = save(arrow, rows, tmp_path / "table")
    asked, kept = DatasetConfig(path=path).entries()
    assert [(one.prompt, one.answers) for one in asked + kept] == [
        (one.prompt, one.answers) for one in lines[0] + lines[1]
    ]
    assert asked[0].place.startswith("row ")
    broken = tmp_path / "table" / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    assert "broken.parquet is no whole table" in told(broken)
