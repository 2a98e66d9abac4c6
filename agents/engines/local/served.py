"""A checkpoint as a model that can be served: built once, later versions loaded beside it. What
they stand on is read once. Knows no request; accepts nothing but tensors that fit.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from agents.engines.checkpoint.adapter import (
    ADAPTER,
    LowRank,
    check_fits,
    read_adapter,
    with_adapter,
)
from agents.engines.checkpoint.fitting import (
    CONFIG,
    GENERATION,
    check_tensors,
    read_config,
    read_tensors,
    stop_ids,
)
from agents.engines.checkpoint.kind import longest
from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    Prompting,
    check_unchanged,
    prompting_texts,
    read_prompting,
)
from agents.engines.checkpoint.verified import read_verified
from agents.engines.engine import SwapRefused
from agents.engines.local.kinds import OWN, Way, build
from agents.engines.local.library import Library
from agents.engines.local.model import Model
from agents.engines.local.own import OwnModel
from agents.engines.local.stack import Stack, shape_of

_MODEL = "model.safetensors"
_NEEDED = (CONFIG, _MODEL, TOKENIZER)
_OPTIONAL = (GENERATION, *PROMPTING, *ADAPTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One version, ready to generate. `stop_ids` end an answer, tokens of `unknown_V` (bool; None
    where there are none) are never drawn; `max_length` is that of prompt and answer together, None
    where the model names none. `base` is the sha256 of the weights that an adapter stands on."""

    version: int
    model: Model
    prompting: Prompting
    stop_ids: tuple[int, ...]
    vocab: int
    unknown_V: torch.Tensor | None
    max_length: int | None
    config: Mapping[str, Any]
    base: str

    @property
    def dtype(self) -> str:
        """That of its products."""
        if isinstance(self.model, OwnModel):
            return str(self.model.stack.embedding.dtype).removeprefix("torch.")
        return str(self.config.get("dtype", "float32"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was read of a checkpoint's folder, every byte checked. `tensors` is None where those of
    `base` are in memory already."""

    folder: Path
    config: Mapping[str, Any]
    tensors: dict[str, torch.Tensor] | None
    adapter: Mapping[str, LowRank]
    base: str
    texts: Mapping[str, str]
    contents: Mapping[str, bytes]


def read(folder: Path, files: Mapping[str, str], current: Served | None) -> Published:
    """Raises `SwapRefused`."""
    missing = [name for name in _NEEDED if name not in files]
    if missing:
        raise SwapRefused(f"the checkpoint {folder} does not list {', '.join(missing)}")
    base = files[_MODEL].lower()
    held = current is not None and isinstance(current.model, OwnModel) and current.base == base
    wanted = {name: digest for name, digest in files.items() if not held or name != _MODEL}
    contents = read_verified(folder, wanted, (*_NEEDED, *_OPTIONAL))
    weights = contents.pop(_MODEL, None)
    return Published(
        folder=folder,
        config=read_config(contents[CONFIG]),
        tensors=None if weights is None else read_tensors(_MODEL, weights),
        adapter=read_adapter(contents),
        base=base,
        texts=prompting_texts(contents),
        contents=contents,
    )


def first(version: int, published: Published, way: Way, device: torch.device | str) -> Served:
    """What decides the architecture and the prompting of all that follow. Raises `SwapRefused`."""
    model = build(published.config, way)
    prompting = read_prompting(published.texts)
    vocab = int(model.get_input_embeddings().num_embeddings)
    unknown_V = torch.zeros(vocab, dtype=torch.bool)
    unknown_V[list(prompting.unknown(vocab))] = True
    return Served(
        version=version,
        model=Library(_with_tensors(model, _weights(published), device), way),
        prompting=prompting,
        stop_ids=stop_ids(published.contents, published.config, prompting.tokenizer),
        vocab=vocab,
        unknown_V=unknown_V.to(device) if unknown_V.any() else None,
        max_length=longest(published.config),
        config=published.config,
        base=published.base,
    )


def quicker(served: Served, published: Published) -> Served | None:
    """The same version in steps of the engine's own; None for a kind that is built otherwise."""
    library, tensors = served.model, published.tensors
    if published.config.get("model_type") not in OWN or not isinstance(library, Library):
        return None
    try:
        shape = shape_of(library.model)
        stack = Stack(shape, tensors or {}, library.device, library.model.dtype)
    except (AttributeError, KeyError):
        return None
    return replace(served, model=OwnModel(stack.adapted(published.adapter)))


def in_dtype(served: Served, published: Published, dtype: str | None) -> Served:
    """The same version with its products in another type. Raises `SwapRefused` for a kind that is
    served otherwise."""
    if dtype in (None, served.dtype):
        return served
    if not isinstance(served.model, OwnModel):
        raise SwapRefused(
            f"engine.dtype = {dtype} is for {', '.join(sorted(OWN))}: leave it out for models of "
            f"kind {published.config.get('model_type')!r}"
        )
    stack, tensors = served.model.stack, published.tensors or {}
    stack = Stack(stack.shape, tensors, served.model.device, getattr(torch, str(dtype)))
    return replace(served, model=OwnModel(stack.adapted(published.adapter)))


def following(
    version: int, published: Published, current: Served, device: torch.device | str
) -> Served:
    """A later version of what is served; `current` keeps its own weights. Raises `SwapRefused`."""
    if published.config != current.config:
        raise SwapRefused(f"config.json in {published.folder} differs from the served model's")
    check_unchanged(current.prompting.texts, published.texts, published.folder)
    model: Model
    if isinstance(current.model, OwnModel):
        stack = current.model.stack
        if published.tensors is not None:
            check_tensors(published.tensors, stack.slots)
            dtype = stack.embedding.dtype
            stack = Stack(stack.shape, published.tensors, device, dtype)
        check_fits(published.adapter, stack.slots)
        try:
            model = OwnModel(stack.adapted(published.adapter))
        except KeyError as layer:
            raise SwapRefused(f"the adapter changes {layer.args[0]}: not served here") from None
    else:
        assert isinstance(current.model, Library)
        made = _with_tensors(current.model.model, _weights(published), device)
        model = Library(made, current.model.way)
    return replace(current, version=version, model=model, base=published.base)


def _weights(published: Published) -> dict[str, torch.Tensor]:
    return with_adapter(published.tensors or {}, published.adapter)


def _with_tensors(
    model: Any, tensors: Mapping[str, torch.Tensor], device: torch.device | str
) -> Any:
    """A twin of `model` that holds `tensors`; `model` itself is not touched."""
    slots: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if all(value is not other for other in slots.values()):
            slots[name] = value
    check_tensors(tensors, slots)
    # Deep-copying with the new values as memo copies the structure and not the old weights;
    # the configuration is shared because nothing changes it.
    memo: dict[int, Any] = {id(model.config): model.config}
    for name, slot in slots.items():
        value = tensors[name].to(device)
        is_parameter = isinstance(slot, torch.nn.Parameter)
        memo[id(slot)] = torch.nn.Parameter(value, requires_grad=False) if is_parameter else value
    return copy.deepcopy(model, memo).to(device)
