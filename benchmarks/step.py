"""What a step of a language model with an adapter takes: memory and processor time, of every way to
compute it beside the plain one, which makes all logits at once.

    rows: groups that share a prompt -> one process a way: a step, another one that is measured

The model has the size of SmolLM2-135M and random weights, so nothing is fetched. The last line is
one JSON object: of each way its peak memory in GiB, the CPU-seconds of a step, and the loss.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

# Run as a script, a neighbour would hide the package of its name.
sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.runs import say
from harness.shown import exit_code

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "parts": {},
    "bf16": {"precision": "bf16"},
    "prefixes": {"shared_prefixes": True},
    "again": {"gradient_checkpointing": True},
    "all": {"precision": "bf16", "shared_prefixes": True, "gradient_checkpointing": True},
}
_MOST_GIB = 6.0
_SAMPLES, _VOCAB = 4, 49_152
_LIMIT = "a process of more memory than this machine gives"


def rows_of(count: int, tokens: int) -> list[Any]:
    """Groups of four: an eighth of a row begins all of them, a half is the prompt."""
    from trainer.rows import Row

    random = Random(1)
    system = random.choices(range(3, _VOCAB), k=tokens // 8)
    rows = []
    for _ in range(math.ceil(count / _SAMPLES)):
        prompt = (*system, *random.choices(range(3, _VOCAB), k=tokens // 2 - len(system)))
        for _ in range(_SAMPLES):
            made = random.choices(range(3, _VOCAB), k=tokens - len(prompt))
            rows.append(Row(prompt=prompt, completion=tuple(made)))
    return rows[:count]


def model_of(layers: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainer.config import LoraConfig
    from trainer.lora import with_adapter

    torch.manual_seed(1)
    size = LlamaConfig(
        vocab_size=_VOCAB, hidden_size=576, intermediate_size=1536, num_hidden_layers=layers,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    return with_adapter(LlamaForCausalLM(size), LoraConfig(rank=16), 1).eval()


def plain_step(model: Any, rows: list[Any]) -> float:
    """One forward pass over all rows, the logits of everything."""
    import torch

    ids_BT = torch.tensor([(*row.prompt, *row.completion) for row in rows])
    begin = len(rows[0].prompt)
    said_BTV = torch.log_softmax(model(input_ids=ids_BT[:, :-1], use_cache=False).logits, -1)
    said_BT = said_BTV.gather(2, ids_BT[:, 1:, None])[:, begin - 1 :, 0]
    loss = -said_BT.mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def one_way(way: str, count: int, tokens: int, layers: int) -> dict[str, float]:
    """In this process."""
    import torch

    from trainer.config import LearnerConfig, OptimizerConfig
    from trainer.gradient import Gradient
    from trainer.optimizer import Optimizer
    from trainer.updates.nll import Nll, NllConfig

    torch.set_num_threads(1)
    model, rows = model_of(layers), rows_of(count, tokens)
    optimizer, update = Optimizer(model, OptimizerConfig(type="adamw")), Nll(NllConfig())
    gradient = None if way == "plain" else Gradient(model, LearnerConfig(**WAYS[way]))
    for _ in range(2):
        started = time.process_time()
        loss = plain_step(model, rows) if gradient is None else gradient.add(rows, update)
        optimizer.step()
        seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30
    return {"peak_gib": round(peak, 2), "cpu_seconds": round(seconds, 2), "loss": loss}


def measured(way: str, count: int, tokens: int, layers: int) -> dict[str, float] | None:
    """In a process of its own; None where the machine had not so much memory."""
    words = ("--way", way, "--rows", count, "--tokens", tokens, "--layers", layers)
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        if way == "plain":
            return None
        raise SystemExit(done.returncode)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="16 rows of 48 tokens, 2 layers")
    parser.add_argument("--rows", type=int, help="default 64")
    parser.add_argument("--tokens", type=int, help="of a row; default 256")
    parser.add_argument("--layers", type=int, help="default 30")
    parser.add_argument("--ways", default=",".join(WAYS), help="some of the ways")
    parser.add_argument("--way", choices=WAYS, help="one, in this process")
    asked = parser.parse_args()
    quick = (16, 48, 2) if asked.quick else (64, 256, 30)
    work = (asked.rows or quick[0], asked.tokens or quick[1], asked.layers or quick[2])
    if asked.way:
        print(json.dumps(one_way(asked.way, *work)))
        return 0
    figures: dict[str, Any] = dict(zip(("rows", "tokens", "layers"), work, strict=True))
    for way in asked.ways.split(","):
        figures[way] = measured(way, *work)
        say(f"{way}: {json.dumps(figures[way]) if figures[way] else _LIMIT}")
    known = {way: figures[way] for way in WAYS if figures.get(way)}
    losses = [one["loss"] for one in known.values()]
    figures["alike"] = max(losses) - min(losses) < 0.02
    figures["within"] = all(
        one["peak_gib"] < _MOST_GIB for way, one in known.items() if way != "plain"
    )
    code = exit_code(figures, {"alike": True, "within": True})
    print(json.dumps(figures))
    return code


if __name__ == "__main__":
    sys.exit(main())
