"""Whether the engine says of a checkpoint what its model says. Believes no architecture: the first
version answers some prompts as all others will, with paddings, cached keys and rows that end, and
is compared with plain forward passes of each row alone; every version is held to its probe.

    read -> build, the fastest way first -> compared: the way that is exact, or refused
         -> probe
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from random import Random

import torch

from agents.engines.checkpoint.kind import windows
from agents.engines.checkpoint.probe import Probe, failure, read_probes, tolerance
from agents.engines.engine import Completion, Request, SwapRefused
from agents.engines.local.batch import Batch
from agents.engines.local.kinds import ways
from agents.engines.local.model import Model
from agents.engines.local.served import (
    Published,
    Served,
    first,
    following,
    in_dtype,
    quicker,
    read,
)

_LENGTHS, _TOKENS = (3, 40, 17), 12
_LONGEST_WINDOW = 256
"""A window up to so many tokens is looked beyond; what happens there is otherwise left to the test
of the kinds."""


def load(
    version: int,
    folder: Path,
    files: Mapping[str, str],
    current: Served | None,
    device: torch.device | str,
    dtype: str | None = None,
) -> Served:
    """Check and load a checkpoint; `current` keeps its own weights. Raises `SwapRefused`.

    The first checkpoint decides the architecture and the prompting, later ones must match. `dtype`
    is that of products, the checkpoint's where it is None; what is exact is found before.
    """
    published = read(folder, files, current)
    probes = read_probes(folder, files)
    if current is None:
        served = in_dtype(_fastest(version, published, device), published, dtype)
    else:
        served = following(version, published, current, device)
    if why := _unlike(served, probes):
        raise SwapRefused(why)
    return served


def _fastest(version: int, published: Published, device: torch.device | str) -> Served:
    *others, last = ways(published.config)
    for way in others:
        try:
            served = first(version, published, way, device)
        except SwapRefused:  # a kind that attends in its own way alone, or the last way says why
            continue
        if (own := quicker(served, published)) and _inexact(own, served.model) is None:
            return own
        if _inexact(served, served.model) is None:
            return served
    served = first(version, published, last, device)
    if (why := _inexact(served, served.model)) is None:
        return served
    kind = published.config.get("model_type")
    raise SwapRefused(
        f"engine.type = local cannot serve models of kind {kind!r} exactly: {why}; choose "
        "engine.type = vllm or another model"
    )


def _unlike(served: Served, probes: Sequence[Probe]) -> str | None:
    """Why the weights are not what was published; None if they are."""
    # Those of one length at once: a swap waits for it.
    for _, alike in groupby(probes, key=lambda probe: len(probe.tokens)):
        group = list(alike)
        said_BT = _logprobs(served.model, [probe.tokens for probe in group], 1)
        for probe, said in zip(group, said_BT.tolist(), strict=True):
            if why := failure(probe, said, served.dtype):
                return why
    return None


def _inexact(served: Served, plain: Model) -> str | None:
    """Why a batch does not say what the model does; None if it does."""
    try:
        return _compared(served, plain)
    except Exception as error:  # whatever a kind raises that is asked as it is not meant to be
        said = next(iter(str(error).splitlines()), "")
        return f"it ends with {type(error).__name__}: {said.rstrip('.')}"


def _compared(served: Served, plain: Model) -> str | None:
    # Nothing ends these answers early.
    asked = replace(served, stop_ids=())
    prompts, room = _prompts(served)
    requests = [
        Request(
            prompt_tokens=prompt,
            n=1 + (index == 0),
            max_tokens=1 + room * (index + 1) // len(prompts),
        )
        for index, prompt in enumerate(prompts)
    ]
    allowed = tolerance(served.dtype)
    for index, completions in _answered(Batch(asked, requests, torch.Generator().manual_seed(0))):
        for one in completions:
            apart = _apart(served, plain, requests[index].prompt_tokens, one)
            if not apart <= allowed:
                return f"a log-probability would be {apart:.2g} off, {allowed:g} is allowed"
    return None


def _prompts(served: Served) -> tuple[list[tuple[int, ...]], int]:
    """Token ids of several lengths, and how many are drawn: beyond a window, where one is short."""
    window = max((w for w in windows(served.config).values() if w <= _LONGEST_WINDOW), default=0)
    limit = served.max_length or window + max(_LENGTHS) + _TOKENS
    room = max(1, min(_TOKENS, limit // 2))
    random = Random(0)
    known = sorted(token for token in served.prompting.known if token < served.vocab)
    lengths = [max(1, min(window + length, limit - room - 1)) for length in _LENGTHS]
    return [tuple(random.choices(known, k=length)) for length in lengths], room


def _answered(batch: Batch) -> list[tuple[int, list[Completion]]]:
    ended = []
    while True:
        if batch.sample():
            ended += batch.collect()
        if not batch.num_live:
            return ended
        batch.forward()


def _apart(served: Served, plain: Model, prompt: Sequence[int], made: Completion) -> float:
    whole = (*prompt, *made.tokens)
    [said_T] = _logprobs(plain, [whole], len(prompt), served.unknown_V)
    # What is no number is the largest here.
    return float((said_T - torch.tensor(made.logprobs)).abs().max())


@torch.inference_mode()
def _logprobs(
    model: Model,
    rows: Sequence[Sequence[int]],
    begin: int,
    unknown_V: torch.Tensor | None = None,
) -> torch.Tensor:
    """[rows, tokens from `begin` on]: by one plain forward pass over rows of one length."""
    ids_BT = torch.tensor([tuple(row) for row in rows], device=model.device)
    logits_BTV = model.logits(ids_BT)[:, begin - 1 : -1].float()
    if unknown_V is not None:
        logits_BTV = logits_BTV.masked_fill(unknown_V, -torch.inf)
    logprobs_BTV = torch.log_softmax(logits_BTV, dim=-1)
    return logprobs_BTV.gather(2, ids_BT[:, begin:, None])[..., 0].cpu()
