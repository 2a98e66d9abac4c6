"""Whatever kind of model a run begins with: engine and learner say what a plain forward pass of the
library says, or a sentence refuses it. The table in docs/own-models.md is what comes out."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from agents.engines.engine import Completion, Request
from agents.engines.local.engine import LocalEngine
from evolvent.errors import UsageError
from evolvent.given.exact import check_learned, check_served
from evolvent.given.own_model import load_model
from tests.evolvent.kinds import KINDS, KNOWN, VOCAB, save_kind
from trainer.forward import Forward, Padded
from trainer.rows import Row
from trainer.seed_model import save_model

ROOT = Path(__file__).parents[2]
ALWAYS = (
    *("gemma", "gemma2", "gemma3_text", "gpt2", "llama", "mistral", "mixtral", "mpt", "phi3"),
    *("qwen2", "qwen3", "rwkv", "smollm3", "xglm"),
)
_EXACT = 1e-4


def by_docs() -> dict[str, bool]:
    """Whether the table says that a kind is served."""
    page = (ROOT / "docs" / "own-models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (served|refused)[^|]*\|([^|]*)\|", page, re.MULTILINE)
    return {kind: row == "served" for row, kinds in rows for kind in re.findall(r"`(.+?)`", kinds)}


def test_the_table_has_every_kind_that_is_tried() -> None:
    assert by_docs().keys() == set(KINDS)
    assert len(KINDS) >= 50 and sum(by_docs().values()) >= 40


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=() if k in ALWAYS else pytest.mark.slow) for k in KINDS],
)
def test_a_kind_is_served_and_learned_exactly_or_refused(tmp_path: Path, kind: str) -> None:
    own, first = save_kind(tmp_path / "own", kind), tmp_path / "first"
    try:
        model, tokenizer = load_model(own)
        files = save_model(model, tokenizer, first)
        check_learned(model, 64)
        check_served(first, files)
    except UsageError as refused:
        assert not by_docs()[kind], refused
        assert "\n" not in str(refused)
        return
    assert by_docs()[kind]
    asked, drawn = asyncio.run(_drawn(first, files))
    plain = AutoModelForCausalLM.from_pretrained(own).eval()
    rows = [
        Row(prompt=request.prompt_tokens, completion=one.tokens, logprobs=one.logprobs)
        for request, group in zip(asked, drawn, strict=True)
        for one in group
    ]
    forward = Forward(model, range(KNOWN, VOCAB))
    with torch.no_grad():
        learned_BT = forward.logprobs(Padded.of(rows, forward.device))
    for row, learned_T in zip(rows, learned_BT, strict=True):
        said_T = _by_the_library(plain, row)
        begin = len(row.prompt) - 1
        assert float((torch.tensor(row.logprobs) - said_T).abs().max()) < _EXACT
        assert float((learned_T[begin : begin + len(said_T)] - said_T).abs().max()) < _EXACT
        assert max(row.completion) < KNOWN


async def _drawn(
    folder: Path, files: dict[str, str]
) -> tuple[list[Request], list[list[Completion]]]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        engine = LocalEngine(executor)
        await engine.swap(0, folder, files)
        asked = [
            Request(prompt_tokens=engine.encode(text), n=4, max_tokens=room, seed=room)
            for text, room in (("r1>", 20), ("r54321543215432154321>", 24), ("rab>", 1))
        ]
        drawn = await asyncio.gather(*map(engine.generate, asked))
        await engine.close()
    return asked, list(drawn)


@torch.no_grad()
def _by_the_library(model: torch.nn.Module, row: Row) -> torch.Tensor:
    ids_1T = torch.tensor([(*row.prompt, *row.completion)])
    logits_TV = model(ids_1T).logits[0, len(row.prompt) - 1 : -1].float()
    logits_TV[:, KNOWN:] = -torch.inf
    return torch.log_softmax(logits_TV, -1).gather(1, torch.tensor(row.completion)[:, None])[:, 0]
