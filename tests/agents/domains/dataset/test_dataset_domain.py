"""A user's own data: split by the hash of the prompt, in levels, each prompt once."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.domains.dataset.dataset import Dataset, DatasetConfig
from agents.domains.domain import NotATask
from tests.agents.domains.dataset.data import reversed_words, written


def built(path: Path, rows: list[dict[str, Any]], **fields: Any) -> Dataset:
    return DatasetConfig(path=written(path / "my.jsonl", rows), **fields).build()


def held(domain: Dataset) -> set[str]:
    return {entry.prompt for entry in domain.kept}


def test_levels_are_parts_of_about_one_size_by_length(tmp_path: Path) -> None:
    domain = built(tmp_path, reversed_words(500))
    assert (list(domain.families), list(domain.levels)) == (["all"], [1, 2, 3, 4])
    assert list(domain.warmup_levels) == [1]
    longest = [max(len(one.prompt) for one in domain.longest("all", n)) for n in domain.levels]
    assert longest == sorted(longest) and longest[0] < longest[-1]


def test_the_share_is_held_out_and_never_made(tmp_path: Path) -> None:
    domain = built(tmp_path, reversed_words(1000), held_out=0.2)
    assert 150 < len(domain.kept) < 250
    assert len(domain.asked) + len(domain.kept) == 1000
    random = Random(1)
    made = {domain.make("all", level, random).prompt for level in domain.levels for _ in range(900)}
    assert made <= {entry.prompt for entry in domain.asked}
    assert not made & held(domain)


def test_a_prompt_stays_on_its_side_whatever_else_the_data_has(tmp_path: Path) -> None:
    rows = reversed_words(300)
    domain = built(tmp_path, rows)
    fewer = built(tmp_path, list(reversed(rows[:200])))
    prompts = {row["prompt"] for row in rows[:200]}
    assert held(fewer) == held(domain) & prompts
    assert held(built(tmp_path, rows, seed=2)) != held(domain)


def test_prompts_that_differ_in_case_and_white_space_are_on_one_side(tmp_path: Path) -> None:
    rows = reversed_words(200)
    again = [{**row, "prompt": f" {row['prompt'].upper()}  "} for row in rows]
    domain = built(tmp_path, rows + again + rows, held_out=0.5)
    assert len(domain.asked) + len(domain.kept) == 400
    keys = {entry.key for entry in domain.kept}
    assert len(keys) * 2 == len(domain.kept)
    assert not keys & {entry.key for entry in domain.asked}


def test_with_a_second_file_its_prompts_are_held_out_and_asked_by_nobody(tmp_path: Path) -> None:
    rows = reversed_words(100)
    kept = written(tmp_path / "kept.jsonl", rows[:30])
    domain = built(tmp_path, rows, held_out_path=kept)
    assert held(domain) == {row["prompt"] for row in rows[:30]}
    assert {entry.prompt for entry in domain.asked} == {row["prompt"] for row in rows[30:]}


def test_columns_may_say_family_and_level(tmp_path: Path) -> None:
    rows = [{**row, "kind": "ab"[at % 2]} for at, row in enumerate(reversed_words(400))]
    domain = built(tmp_path, rows, family="kind", level="letters", warmup_levels=(3, 4))
    assert (list(domain.families), list(domain.levels)) == (["a", "b"], [3, 4, 5, 6, 7, 8])
    for level in domain.levels:
        problem = domain.make("b", level, Random(level))
        assert (problem.family, len(problem.answer)) == ("b", level)
        assert domain.max_answer_tokens(level) > level + 1
    assert list(domain.warmup_levels) == [3, 4]


def test_a_family_that_lacks_a_level_is_asked_its_nearest_one_there(tmp_path: Path) -> None:
    rows = [{**row, "kind": "many"} for row in reversed_words(400)]
    for row in rows[::2]:
        if row["letters"] in (3, 8):
            row["kind"] = "few"
    domain = built(tmp_path, rows, family="kind", level="letters")
    problem = domain.make("few", 4, Random(1))
    assert (problem.family, problem.level, len(problem.answer)) == ("few", 4, 3)
    assert len(domain.make("few", 7, Random(1)).answer) == 8
    assert domain.max_answer_tokens(7) > 9
    assert domain.held_out("few", 4, 64) == []


def test_what_a_model_writes_is_a_prompt_of_the_data_or_none(tmp_path: Path) -> None:
    domain = built(tmp_path, reversed_words(100))
    assert domain.read(domain.asked[0].prompt).answer == domain.asked[0].answers[0]
    with pytest.raises(NotATask, match="held-out"):
        domain.read(domain.kept[0].prompt)
    with pytest.raises(NotATask, match="unparseable"):
        domain.read("nothing of it>")


def test_a_users_own_prompt_has_its_answer_where_the_data_knows_it(tmp_path: Path) -> None:
    domain = built(tmp_path, reversed_words(100))
    assert domain.pose(domain.kept[0].prompt).answer == domain.kept[0].answers[0]
    unknown = domain.pose("nothing of it>")
    assert (unknown.answer, unknown.prompt) == ("", "nothing of it>")
    assert domain.score(unknown, "it", ended=True).reason == "no known answer"
    with pytest.raises(NotATask, match="no family 'b' here, only all"):
        domain.pose("a>", "b")


def test_rows_without_an_answer_are_asked_where_that_is_said(tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"]} for row in reversed_words(50)]
    domain = built(tmp_path, rows, unlabeled=True)
    assert list(domain.warmup_levels) == []
    assert domain.make("all", 1, Random(1)).answer == ""
    with pytest.raises(ValueError, match="level 1 has prompts without an answer to show"):
        built(tmp_path, rows, unlabeled=True, warmup_levels=(1,))


@pytest.mark.parametrize(
    ("count", "fields", "said"),
    [
        (3, {"held_out": 0.001}, "none of the 3 prompts of .*my.jsonl is held out: raise"),
        (3, {"held_out": 0.999}, "all prompts of .*my.jsonl are held out: lower"),
        (50, {"warmup_levels": (9,)}, r"warmup_levels \[9\] are not among \[1, 2, 3, 4\]"),
        (50, {"family": "prompt"}, "all prompts of the family '.*' are held out"),
        (1500, {"family": "letters", "level": "at"}, "1,000 may be: choose coarser columns"),
    ],
)
def test_data_that_cannot_be_split_or_asked_is_told(
    count: int, fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    rows = [{**row, "at": at + 1} for at, row in enumerate(reversed_words(count))]
    with pytest.raises(ValueError, match=said):
        built(tmp_path, rows, **fields)
