"""Own models of kinds that the engine cannot serve: xglm and mpt are served with wrong
log-probabilities, bloom ends in a traceback about tuples. None is refused with a sentence."""

import asyncio
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cases._case import FAULT, HOLDS, own_model, run_case, tiny_recipe

END = {"vocab_size": 64, "eos_token_id": 1}
KINDS = {
    "xglm": dict(
        d_model=16, ffn_dim=24, num_layers=2, attention_heads=2, max_position_embeddings=64,
        bos_token_id=1, pad_token_id=0, **END,
    ),
    "bloom": dict(hidden_size=16, n_layer=2, n_head=2, bos_token_id=1, **END),
    "mpt": dict(d_model=16, n_layers=2, n_heads=2, max_seq_len=64, **END),
}  # fmt: skip


async def tried(own: Path, folder: Path, executor: ThreadPoolExecutor) -> str:
    """What happens to one kind; "" when that is right."""
    import torch

    from tests.cases._names import UsageError, load_recipe
    from tests.cases._torch_names import (
        EngineUnusable,
        Request,
        Row,
        SwapRefused,
        score,
        seed_model,
        served,
    )

    try:
        settings = [f"model={{path='{own}'}}", "warmup.steps=1", "warmup.batch=4"]
        recipe = load_recipe(str(tiny_recipe(folder)), settings)
        model = seed_model(recipe, folder / "seed")
        engine = await served(folder / "seed", executor, max_rows=64)
        asked = [
            Request(prompt_tokens=engine.encode(text), n=4, max_tokens=20)
            for text in ("r12345>", "r54>", "r3214321432143>")
        ]
        answers = await asyncio.gather(*(engine.generate(one) for one in asked))
        await engine.close()
    except (UsageError, SwapRefused, EngineUnusable):
        return ""
    except Exception as error:
        traceback.print_exc(limit=-1)
        return f"{type(error).__name__}: {error}"
    rows = [
        Row(prompt=one.prompt_tokens, completion=some.tokens, logprobs=some.logprobs)
        for one, drawn in zip(asked, answers, strict=True)
        for some in drawn
    ]
    with torch.no_grad():
        scored = score(model, rows)
    off = float(((scored.logprobs_BT - scored.behaviour_BT).abs() * scored.mask_BT).max())
    return f"log-probabilities are {off:.2f} off" if off > 1e-3 else ""


async def case(folder: Path) -> tuple[int, str]:
    wrong = []
    with ThreadPoolExecutor(1) as executor:
        for kind, fields in KINDS.items():
            own = own_model(folder / kind, kind, **fields)
            if said := await tried(own, folder, executor):
                wrong.append(f"{kind}: {said}")
    return (FAULT if wrong else HOLDS), "; ".join(wrong) or "each is served right or refused"


if __name__ == "__main__":
    run_case(case)
