"""How likely answers are that nobody drew: one plain forward pass over all of them, padded on the
right, where causal attention never looks. Knows no thread.

Shapes: B answers, T positions after the prompt, V vocabulary.
"""

from collections.abc import Sequence

import torch

from agents.engines.engine import Prompt, Unservable
from agents.engines.local.served import Served


@torch.inference_mode()
def logprobs(served: Served, prompt: Prompt, answers: Sequence[str]) -> list[float]:
    """Of each answer and the end after it, as the model's tokenizer writes it. Raises
    `Unservable`."""
    tokenizer = served.prompting.tokenizer
    before = served.prompting.encode(prompt)
    said = [tokenizer.encode(answer, add_special_tokens=False).ids for answer in answers]
    width = len(before) + max(map(len, said))
    if served.max_length is not None and width > served.max_length:
        raise Unservable(f"{width} tokens, the model reads {served.max_length}")
    rows = [[*before, *tokens, *[0] * (width - len(before) - len(tokens))] for tokens in said]
    ids_BT = torch.tensor(rows, device=served.model.device)
    logits_BTV = served.model.logits(ids_BT)[:, len(before) - 1 :]
    if served.unknown_V is not None:
        logits_BTV = logits_BTV.masked_fill(served.unknown_V, -torch.inf)
    logprobs_BTV = torch.log_softmax(logits_BTV.double(), dim=-1).cpu()
    ends_BT = logprobs_BTV[:, :, list(served.stop_ids)].logsumexp(-1)
    return [
        float(logprobs_TV[range(len(tokens)), tokens].sum() + ends_T[len(tokens)])
        for tokens, logprobs_TV, ends_T in zip(said, logprobs_BTV, ends_BT, strict=True)
    ]
