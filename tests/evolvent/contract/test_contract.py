"""Every part that comes along keeps the contract of its kind; parts that do not are found out; and
the command tells it in sentences."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter

from agents.domains.config import DomainConfig
from agents.judges.config import JudgeConfig
from agents.parts import PartConfig, Parts
from agents.samplers.config import SamplerConfig
from agents.sources.config import SourceConfig
from bus.events import Attempt, Verdict
from evolvent.contract.contract import held, promises
from evolvent.contract.promise import Outcome, Promise
from evolvent.recipe.kinds import KINDS, types_of
from harness.broker import free_port
from tests.agents.domains.dataset.data import WORDS as DATASET
from tests.agents.judges.grading import grader, says
from trainer.filters.config import FilterConfig
from trainer.updates.config import UpdateConfig

PORT = free_port()


@pytest.fixture(autouse=True, scope="module")
def someone_grades() -> Iterator[None]:
    with grader(says("Score: 4"), PORT):
        yield


UNIONS: dict[str, Any] = {
    "domain": DomainConfig,
    "source": SourceConfig,
    "sampler": SamplerConfig,
    "judge": JudgeConfig,
    "filter": FilterConfig,
    "update": UpdateConfig,
}
TRIED: dict[str, list[dict[str, Any]]] = {
    "domain": [
        {"type": "programs", "levels": [1, 2, 3, 5]},
        {"type": "programs", "levels": [1, 2, 3], "families": ["deduction"], "rationale": True},
        {"type": "python_programs", "levels": [1, 2, 4], "warmup_levels": [1]},
        {"type": "arithmetic", "families": ["add", "subtract", "multiply", "copy"]},
        {"type": "arithmetic", "families": ["add", "subtract"], "layout": "interleaved"},
        {"type": "strings", "levels": list(range(1, 17))},
        DATASET,
        {"type": "kuhn"},
        {"type": "grammar"},
        {"type": "codes"},
        {
            "type": "reasoning_gym",
            "dataset": "spell_backward",
            "levels": list(range(1, 11)),
            "warmup_levels": [1, 2, 3, 4],
            "level_parameters": ["min_word_len", "max_word_len"],
            "prompt": "r{word}>",
            "held_out_from": 4,
        },
        {
            "type": "reasoning_gym",
            "dataset": "chain_sum",
            "levels": [2, 3, 4],
            "warmup_levels": [2],
            "level_parameters": ["min_terms", "max_terms"],
            "parameters": {"min_digits": 2, "max_digits": 2},
        },
    ],
    "source": [
        {"type": "curriculum"},
        {"type": "learned"},
        {"type": "learned", "show_seeds": 6, "show_made": 2, "most_alike": 0.7},
        {"type": "learned", "show_made": 6, "by_family": True},
        {"type": "mutate"},
        {"type": "mutate", "parents": "regret", "share": 0.5},
        {"type": "schedule", "every": 1},
        {"type": "schedule", "advance_at": 0.4},
        {"type": "uniform"},
        {"type": "unlabeled", "size": 8},
    ],
    "sampler": [
        {"type": "single"},
        {"type": "second_look", "learn": "both"},
        {"type": "second_look"},
        {"type": "game"},
        {"type": "game", "opponents": {"first": "previous"}},
        {"type": "rationalise", "samples": 2},
        {"type": "refine"},
        {"type": "refine", "rounds": 3, "approve": "y", "reject": "n"},
        {"type": "lessons"},
        {"type": "lessons", "reads": "others", "about": "{family}/{level}"},
    ],
    "judge": [
        {"type": "exact"},
        {"type": "vote"},
        {"type": "chance"},
        {"type": "model"},
        {"type": "policy", "scale": ["no", "yes"]},
        {"type": "choice", "first": "yes", "second": "no"},
        {"type": "game"},
        {"type": "implicit"},
        {"type": "endpoint", "url": f"http://127.0.0.1:{PORT}/v1", "model": "grader"},
    ],
    "filter": [{"type": "all"}, {"type": "band"}, {"type": "length", "shorter_by": 1}],
    "update": [
        {"type": "nll"},
        {"type": "nll", "per_task": 8, "growth": 1.2},
        {"type": "grpo"},
        {"type": "grpo", "kl": 0.1, "reference": "previous"},
        {"type": "grpo", "baseline": "role", "normalize": "sequence", "entropy": 0.1},
        {"type": "grpo", "baseline": "role", "proposer_reward": "azr"},
        {"type": "grpo", "baseline": "batch", "normalize": "fixed", "engine_cap": 2.0},
        {"type": "grpo", "baseline": "role_ema"},
        {"type": "dpo"},
        {"type": "dpo", "steps": 2, "nll": 0.5, "smoothing": 0.1, "reference": "first"},
        {"type": "cream"},
        {"type": "spin"},
        {"type": "none"},
    ],
}


def every_part() -> Iterator[Any]:
    for kind, tables in TRIED.items():
        for table in tables:
            for promise in promises(kind):
                name = f"{table.get('dataset', table['type'])}-{promise.__name__}"
                yield pytest.param(kind, table, promise, id=name)


@pytest.mark.parametrize(("kind", "table", "promise"), every_part())
def test_a_part_keeps_its_promise(kind: str, table: dict[str, Any], promise: Promise) -> None:
    config = TypeAdapter(UNIONS[kind]).validate_python(table)
    outcome = asyncio.run(held(promise, kind, config))
    assert outcome.kept is not False, outcome.why


def test_every_type_that_comes_along_is_tried() -> None:
    for kind in set(KINDS) - {"role"}:
        assert {table["type"] for table in TRIED[kind]} == set(types_of(kind))


class SloppyConfig(PartConfig):
    type: Literal["sloppy"] = "sloppy"

    def build(self, parts: Parts) -> "Sloppy":
        return Sloppy()


class Sloppy:
    """Forgets a sample, signs with another name, and fails on an empty answer."""

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        worth = [1 / len(sample.answer) for sample in attempt.samples[:-1]]
        return tuple(
            Verdict(scores={}, reward=each, reason="short", provenance="other") for each in worth
        )


def outcomes(config: Any) -> dict[str, Outcome]:
    async def each() -> list[Outcome]:
        return [await held(promise, "judge", config) for promise in promises("judge")]

    return {outcome.promise: outcome for outcome in asyncio.run(each())}


def test_a_part_that_breaks_its_promises_is_told_which_and_how() -> None:
    found = outcomes(SloppyConfig())
    assert found["every sample has a verdict"].why == "3 verdicts for 4 samples"
    assert "not 'sloppy'" in found["a verdict says which judge it is from"].why
    assert "ZeroDivisionError" in found["a bad answer is data"].why
    assert found["the same attempt is judged the same"].kept


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evolvent.contract", *words],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


PLUGIN = """
from typing import Literal

from bus.events import Judgment
from pydantic import BaseModel


class HalfConfig(BaseModel):
    type: Literal["half"] = "half"
    share: float

    def build(self, parts):
        return Half(self.share)


class Half:
    def __init__(self, share):
        self._share = share

    def choose(self, judgments, random):
        return judgments[: round(len(judgments) * self._share)]


PARTS = {"filter": [HalfConfig]}
"""


def test_the_command_holds_a_plug_in_to_its_contract(tmp_path: Path) -> None:
    plugin = tmp_path / "half.py"
    plugin.write_text(PLUGIN)
    done = command("filter", str(plugin), "--set", "share=0.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "filter half: all kept"
    broken = command("filter", str(plugin), "--set", "share='x'")
    assert (broken.returncode, broken.stderr.count("\n")) == (2, 1)
    assert "share" in broken.stderr
    plugin.write_text(PLUGIN.replace("return judgments[", "return 2 * judgments["))
    twice = command("filter", str(plugin), "--set", "share=1")
    assert twice.returncode == 1
    assert "BROKEN  nothing is chosen twice: a judgment is chosen twice" in twice.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("poet", "half.py"), "there is no kind poet: there are domain, source"),
        (("filter", "missing.py"), "there is no such file"),
        (("judge", "half.py"), "has no judge"),
        (("filter", "half.py"), "say it with --set field=value"),
    ],
)
def test_what_cannot_be_tried_is_one_sentence(
    words: tuple[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "half.py").write_text(PLUGIN)
    done = command(words[0], str(tmp_path / words[1]))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
