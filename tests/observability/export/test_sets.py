"""Data sets made of judgments: which samples become rows, and what the folder says."""

import asyncio
import json
from pathlib import Path

import pytest
from pyarrow import parquet

from bus.events import Judgment, Sample, Turn, Verdict, Weights
from bus.log import Log
from bus.memory.bus import MemoryBus
from observability.export.folder import FORMS, NothingToExport, write_set
from observability.export.sets import KINDS, Counted, Row, rows_of
from tests.observability.audit.audited_run import attempt_of, judgment_of, task_of, turn

FIRST = Weights(
    id="0" * 32, run="r", agent="t", number=0, parent=None, parent_id=None, location=".",
    files={}, step=0, epoch=1,
)  # fmt: skip


def judged(index: int, *answers: tuple[str, float], turns: int = 1) -> Judgment:
    samples = tuple(Sample(turns=(turn(0),) * (turns - 1) + (_said(text),)) for text, _ in answers)
    attempt = attempt_of(task_of(FIRST, index)).model_copy(update={"samples": samples})
    verdicts = tuple(
        Verdict(scores={}, reward=reward, reason="", provenance="exact") for _, reward in answers
    )
    return judgment_of(attempt).model_copy(update={"verdicts": verdicts})


def _said(text: str) -> Turn:
    return turn(1).model_copy(update={"text": text})


def log_of(*judgments: Judgment) -> Log:
    bus = MemoryBus()
    asyncio.run(bus.publish(judgments))
    return bus.log


def rows(name: str, *judgments: Judgment) -> tuple[list[Row], Counted]:
    counted = Counted()
    return list(rows_of(log_of(*judgments), KINDS[name], counted)), counted


def test_prompts_are_the_samples_that_are_right_and_plain() -> None:
    plain = judged(0, ("ba", 1.0), ("ab", 0.0))
    longer = judged(1, ("ba", 1.0), turns=2)
    unsure = judged(2, ("ba", 1.0))
    unsure = unsure.model_copy(
        update={"verdicts": (unsure.verdicts[0].model_copy(update={"known": False}),)}
    )
    found, counted = rows("prompts", plain, longer, unsure)
    [row] = found
    assert (row["prompt"], row["completion"], row["sampled_by"]) == ("ab", "ba", 1)
    assert (row["task"], row["granted_by"]) == (plain.attempt.task.id, 0)
    assert (counted.rows, counted.left_out, counted.judgments) == (1, 3, 3)


def test_a_pair_is_the_best_and_the_worst_of_a_group() -> None:
    group = judged(0, ("x", 0.5), ("ba", 1.0), ("ab", 0.0), ("aa", 0.0))
    found, counted = rows("pairs", group, judged(1, ("x", 1.0), ("y", 1.0)))
    [row] = found
    assert (row["chosen"], row["rejected"]) == ("ba", "aa")
    assert (row["chosen_reward"], row["rejected_reward"]) == (1.0, 0.0)
    assert (counted.rows, counted.left_out) == (1, 1)


def test_a_group_keeps_tokens_logprobs_and_versions_of_every_turn() -> None:
    group = judged(0, ("ba", 1.0), ("ab", 0.0), turns=2)
    [row], _ = rows("groups", group)
    assert [sample["reward"] for sample in row["samples"]] == [1.0, 0.0]
    for sample, said in zip(group.attempt.samples, row["samples"], strict=True):
        assert len(said["turns"]) == 2
        for drawn, told in zip(sample.turns, said["turns"], strict=True):
            assert told["tokens"] == list(drawn.tokens)
            assert told["logprobs"] == list(drawn.logprobs)
            assert told["versions"] == [drawn.spans[0].version]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", KINDS)
def test_a_set_is_a_folder_with_a_card(tmp_path: Path, name: str, form: str) -> None:
    group = judged(0, ("ba", 1.0), ("ab", 0.0))
    counted = Counted()
    out = tmp_path / "set"
    found = rows_of(log_of(group), KINDS[name], counted)
    write_set(out, KINDS[name], found, counted, form, ("r", "tiny"))
    wanted, _ = rows(name, group)
    file = out / "data" / f"train.{form}"
    if form == "parquet":
        assert parquet.read_table(file).to_pylist() == wanted
    else:
        assert [json.loads(line) for line in file.read_text().splitlines()] == wanted
    assert list(wanted[0]) == list(KINDS[name].columns)
    _, head, text = (out / "README.md").read_text().split("---\n", 2)
    assert head.endswith(f"""
  data_files:
  - split: train
    path: data/train.{form}
""")
    assert "1 rows, made of the 1 judgments of the run `r` (recipe `tiny`)" in text
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_where_there_is_nothing_no_folder_stays_behind(tmp_path: Path) -> None:
    counted = Counted()
    found = rows_of(log_of(judged(0, ("ab", 0.0))), KINDS["prompts"], counted)
    with pytest.raises(NothingToExport, match="of 1 judgments"):
        write_set(tmp_path / "set", KINDS["prompts"], found, counted, "jsonl", ("r", "tiny"))
    assert list(tmp_path.iterdir()) == []


def test_the_same_log_gives_the_same_file(tmp_path: Path) -> None:
    log = log_of(*(judged(index, ("ba", 1.0), ("ab", 0.0)) for index in range(20)))
    for name in ("a", "b"):
        counted = Counted()
        kind = KINDS["pairs"]
        write_set(
            tmp_path / name, kind, rows_of(log, kind, counted), counted, "parquet", ("r", "t")
        )
    one, other = (tmp_path / name / "data/train.parquet" for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
