"""What a version says of fixed token sequences, published with it: an engine that loads the
version must say the same. Knows no engine and no event.
"""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import torch
from torch import Tensor

PROBE = "probe.json"
_SEQUENCES, _LENGTH = 4, 24


@torch.no_grad()
def make_probe(model: Any, weights: Mapping[str, Tensor]) -> bytes:
    """The file: `probes`, each with its `tokens` and the log-probability of all but the first.

    `weights` stand in for the model's own, which stay as they are. `rounding` is how far the
    answers move if what the model reads is rounded otherwise: large models may amplify that.
    """
    random = Random(0)
    # Engines answer with one token more.
    longest = getattr(model.config, "max_position_embeddings", None) or _LENGTH + 1
    length = min(_LENGTH, int(longest) - 1)
    ids_BT = torch.tensor(
        [
            [random.randrange(model.config.vocab_size) for _ in range(length)]
            for _ in range(_SEQUENCES)
        ],
        device=model.device,
    )
    was_training = model.training
    model.eval()
    logprobs_BT = _said(model, weights, ids_BT)
    nudged = model.get_input_embeddings().register_forward_hook(_nudge)
    rounding = float((_said(model, weights, ids_BT) - logprobs_BT).abs().max())
    nudged.remove()
    model.train(was_training)
    probes = [
        {"tokens": tokens, "logprobs": logprobs}
        for tokens, logprobs in zip(ids_BT.tolist(), logprobs_BT.tolist(), strict=True)
    ]
    return json.dumps({"probes": probes, "rounding": rounding}).encode()


def _said(model: Any, weights: Mapping[str, Tensor], ids_BT: Tensor) -> Tensor:
    logits_BTV = torch.func.functional_call(model, dict(weights), (ids_BT,)).logits[:, :-1]
    logprobs_BTV = torch.log_softmax(logits_BTV.float(), dim=-1)
    return logprobs_BTV.gather(2, ids_BT[:, 1:, None])[..., 0]


def _nudge(module: Any, read: Any, made: Tensor) -> Tensor:
    """What is read, rounded otherwise in the last place, every second value up."""
    up = torch.arange(made.shape[-1], device=made.device) % 2
    return made * (1 + up * torch.finfo(made.dtype).eps)
