"""The cases that hold, tried again; and the table of README.md, which names every case."""

import re

import pytest

from tests.cases.run import CASES, HOLDS, names, tried

HOLD = {
    "agent_missing_dir": 2,
    "audit_faults": 93,
    "batch_logits_memory": 20,
    "crash_loop_exit_code": 34,
    "documented_domain": 8,
    "fenced_prune": 12,
    "grpo_one_sample": 3,
    "grpo_temperature": 12,
    "journal_fold": 3,
    "kafka_journal_truncated": 20,
    "kafka_killed_writer": 30,
    "kafka_stranger_in_journal": 15,
    "kafka_stranger_in_weights": 12,
    "kafka_tail_lost": 60,
    "kafka_topic_recreated": 20,
    "kafka_zstd_topics": 14,
    "lease_clock": 14,
    "log_older_than_checkpoints": 60,
    "long_reader": 40,
    "model_kinds": 8,
    "more_members_than_partitions": 14,
    "narrow_stdout": 55,
    "no_warmup_levels": 15,
    "poison_judgment": 2,
    "power_cut_log_behind": 60,
    "prune_cost": 4,
    "pruned_by_hand": 30,
    "question_prompts": 15,
    "quick_benchmarks": 95,
    "seed_out_of_range": 3,
    "short_context": 5,
    "stopped_in_commit": 25,
    "tokenizer_rebuilt": 10,
    "toml_bom": 1,
}
"""Each with the seconds that it takes."""


def marked(name: str, seconds: int) -> object:
    marks = [pytest.mark.long] if seconds > 12 else [pytest.mark.slow] if seconds > 10 else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [marked(name, seconds) for name, seconds in HOLD.items()])
def test_a_case_that_holds_goes_on_holding(name: str) -> None:
    verdict, said = tried(name)
    assert verdict == HOLDS, said


def test_the_table_has_one_row_for_each_case() -> None:
    table = (CASES / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(.+?)\.py` \|", table, re.MULTILINE)) == names()
