"""Whether learner and engine say what the model says: some kinds are right only where nothing is
padded or kept. Loads torch.
"""

from pathlib import Path
from random import Random
from typing import Any

import torch

from agents.engines.engine import SwapRefused
from agents.engines.local.exact import load
from evolvent.errors import UsageError
from trainer.forward import score
from trainer.rows import Row

_LENGTHS = ((2, 5), (30, 8), (5, 1))
_TOLERANCE = 1e-3


def check_served(folder: Path, files: dict[str, str]) -> None:
    """Raises `UsageError` for a model in `folder`, with `files`, that the engine of this process
    would not serve exactly."""
    try:
        load(0, folder, files, None, "cpu")
    except SwapRefused as error:
        raise UsageError(f"the model cannot be served: {error}") from None


@torch.no_grad()
def check_learned(model: Any, longest: int | None) -> None:
    """Raises `UsageError` for a kind whose log-probabilities are others in a batch."""
    random = Random(0)
    limit = longest or sum(_LENGTHS[1])
    rows = []
    for prompt, answer in _LENGTHS:
        made = max(1, min(answer, limit - 1))
        tokens = _tokens(random, model, max(1, min(prompt, limit - made)) + made)
        rows.append(Row(prompt=tokens[:-made], completion=tokens[-made:]))
    kind = model.config.model_type
    try:
        scored = score(model, rows)
        apart = max(
            float((said_T[mask_T.bool()] - _alone(model, row)).abs().max())
            for said_T, mask_T, row in zip(scored.logprobs_BT, scored.mask_BT, rows, strict=True)
        )
    except Exception as error:  # whatever a kind raises that is asked as it is not meant to be
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"models of kind {kind!r} cannot be learned: {said.rstrip('.')}") from None
    if not apart <= _TOLERANCE:
        raise UsageError(
            f"models of kind {kind!r} cannot be learned: in a batch a log-probability is "
            f"{apart:.2g} off; choose another model"
        )


def _alone(model: Any, row: Row) -> torch.Tensor:
    ids_1T = torch.tensor([(*row.prompt, *row.completion)], device=model.device)
    begin = len(row.prompt)
    logprobs_TV = torch.log_softmax(model(ids_1T).logits[0, begin - 1 : -1].float(), -1)
    return logprobs_TV.gather(1, ids_1T[0, begin:, None])[:, 0]


def _tokens(random: Random, model: Any, count: int) -> tuple[int, ...]:
    vocab = model.get_input_embeddings().num_embeddings
    return tuple(random.randrange(vocab) for _ in range(count))
