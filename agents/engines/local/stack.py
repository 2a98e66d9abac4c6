"""The layers of Llama and of kinds built like it, as plain tensors: what one version weighs, in as
few products as there can be. Knows no row and no cache; attention is handed in.

    tokens -> embedding -> layers -> norm -> logits
    a layer: norm, q k v at once, (attend), out, norm, gate and up at once, down

Shapes: M tokens of any rows, H heads (K of keys and values), D of a head, V vocabulary.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear, rms_norm, silu

from agents.engines.checkpoint.adapter import LowRank

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Of a layer's number, queries [M, H, D], keys and values [M, K, D]: [M, H * D]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the kind's configuration says, as its own modules have read it. `rotary` gives cosines
    and sines of positions; `rotated` says of every layer whether it turns by them."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    epsilon: float
    rotary: Any
    rotated: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """x @ weight.T + bias, and what an adapter adds: x @ down.T @ up.T. `sizes` are those of the
    products that it makes at once."""

    weight: Tensor
    sizes: tuple[int, ...]
    bias: Tensor | None = None
    down: Tensor | None = None
    up: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self._adapted(linear(x, self.weight, self.bias), x)

    def added_to(self, sums: Tensor, x: Tensor) -> Tensor:
        """`sums` plus what comes out."""
        if self.bias is not None or sums.dtype != x.dtype:
            return sums + self(x)
        return self._adapted(torch.addmm(sums, x, self.weight.T), x)

    def _adapted(self, y: Tensor, x: Tensor) -> Tensor:
        return y if self.down is None or self.up is None else y.addmm_(x @ self.down.T, self.up.T)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    before_attention: Tensor
    qkv: Linear
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: Linear
    before_mlp: Tensor
    gate_up: Linear
    down: Linear


def shape_of(model: Any) -> Shape:
    """Of a model of transformers. Raises `AttributeError` for one that is built otherwise."""
    layers = model.model.layers
    attention = layers[0].self_attn
    if model.config.hidden_act != "silu":
        raise AttributeError(f"it computes {model.config.hidden_act}")
    return Shape(
        heads=model.config.num_attention_heads,
        kv_heads=model.config.num_key_value_heads,
        head_dim=attention.head_dim,
        scale=attention.scaling,
        epsilon=layers[0].input_layernorm.variance_epsilon,
        rotary=model.model.rotary_emb,
        rotated=tuple(bool(getattr(each.self_attn, "use_rope", True)) for each in layers),
    )


class Stack:
    """One version's weights. Products are made in `dtype`; sums, norms and attention in 32 bits."""

    def __init__(
        self,
        shape: Shape,
        tensors: Mapping[str, Tensor],
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        """Takes the tensors by their names in the file; raises `KeyError` for one that is missing
        or that it has no place for."""
        self.slots = {name: value.to("meta") for name, value in tensors.items()}
        left = {name: _placed(value, device, dtype) for name, value in tensors.items()}
        self.shape = shape
        self.embedding = left.pop("model.embed_tokens.weight")
        self.layers = [_layer(left, number) for number in range(len(shape.rotated))]
        self.norm = left.pop("model.norm.weight").float()
        head = left.pop("lm_head.weight", self.embedding)
        self.head = Linear(weight=head, sizes=(len(head),))
        self._turns: tuple[Tensor, Tensor] | None = None
        if left:
            raise KeyError(next(iter(left)))

    def adapted(self, adapter: Mapping[str, LowRank]) -> "Stack":
        """The same weights, not copied, with `adapter` in place of any other. Raises `KeyError` for
        a layer that has no place for one."""
        names = [name for part in _PARTS.values() for name in part]
        places = {f"model.layers.{i}.{name}" for i in range(len(self.layers)) for name in names}
        if misplaced := sorted(adapter.keys() - places - {"lm_head"}):
            raise KeyError(misplaced[0])
        made = copy(self)

        def part(number: int, field: str) -> Linear:
            plain: Linear = getattr(self.layers[number], field)
            of_names = [f"model.layers.{number}.{name}" for name in _PARTS[field]]
            return _adapted(plain, [adapter.get(name) for name in of_names])

        made.layers = [
            replace(
                layer,
                qkv=part(number, "qkv"),
                out=part(number, "out"),
                gate_up=part(number, "gate_up"),
                down=part(number, "down"),
            )
            for number, layer in enumerate(self.layers)
        ]
        made.head = _adapted(self.head, [adapter.get("lm_head")])
        return made

    def run(
        self, ids_M: Tensor, positions_M: Tensor, attend: Attend, last: Tensor | None = None
    ) -> Tensor:
        """What the layers end with, [M, hidden]; of the tokens at the places `last` alone where
        they are given. Positions are below what `reach` was told."""
        shape, dtype = self.shape, self.embedding.dtype
        turn = self._turn(positions_M)
        x = embedding(ids_M, self.embedding).float()
        for number, layer in enumerate(self.layers):
            qkv = layer.qkv(self._normed(x, layer.before_attention).to(dtype))
            q, k, v = self._split(layer, qkv, turn if shape.rotated[number] else None)
            mixed = attend(number, q, k, v)
            if last is not None and number == len(self.layers) - 1:
                x, mixed = x[last], mixed[last]
            x = layer.out.added_to(x, mixed.to(dtype))
            gate, up = layer.gate_up(self._normed(x, layer.before_mlp).to(dtype)).chunk(2, -1)
            x = layer.down.added_to(x, silu(gate).mul_(up))
        return x

    def logits(self, x: Tensor) -> Tensor:
        """[M, V] in 32 bits, of what `run` ends with."""
        return self.head(self._normed(x, self.norm).to(self.embedding.dtype)).float()

    def reach(self, length: int) -> None:
        """Be ready for positions below `length`."""
        if any(self.shape.rotated) and (self._turns is None or len(self._turns[0]) < length):
            device = self.embedding.device
            positions = torch.arange(1 << (length - 1).bit_length(), device=device)
            in_32_bits = torch.empty(0, device=device)
            cos, sin = self.shape.rotary(in_32_bits, position_ids=positions[None])
            self._turns = cos[0], sin[0]

    def _turn(self, positions_M: Tensor) -> tuple[Tensor, Tensor] | None:
        if self._turns is None:
            return None
        return self._turns[0][positions_M][:, None], self._turns[1][positions_M][:, None]

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm(x, (x.shape[-1],), weight, self.shape.epsilon)

    def _split(
        self, layer: Layer, qkv: Tensor, turn: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled queries, keys, values."""
        shape = self.shape
        all_MHD = qkv.float().view(len(qkv), -1, shape.head_dim)
        num_both = shape.heads + shape.kv_heads
        both_MHD, v = all_MHD[:, :num_both], all_MHD[:, num_both:]
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = both_MHD[:, : shape.heads], both_MHD[:, shape.heads :]
            both_MHD = torch.cat([self._normed(q, layer.q_norm), self._normed(k, layer.k_norm)], 1)
        if turn is not None:
            both_MHD = _turned(both_MHD, *turn)
        return both_MHD[:, : shape.heads] * shape.scale, both_MHD[:, shape.heads :], v


def _placed(value: Tensor, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Matrices make the products."""
    return value.to(device, dtype if value.ndim > 1 else None)


def _turned(x_MHD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: each half of a head turns with the other."""
    half = x_MHD.shape[-1] // 2
    turned_MHD = x_MHD * cos
    turned_MHD[..., :half].addcmul_(x_MHD[..., half:], sin[..., :half], value=-1)
    turned_MHD[..., half:].addcmul_(x_MHD[..., :half], sin[..., half:])
    return turned_MHD


_PARTS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def _layer(left: dict[str, Tensor], number: int) -> Layer:
    start = f"model.layers.{number}."

    def norm(name: str) -> Tensor:
        return left.pop(f"{start}{name}.weight").float()

    def part(field: str) -> Linear:
        return _fused(left, [start + name for name in _PARTS[field]])

    of_heads = f"{start}self_attn.q_norm.weight" in left
    return Layer(
        before_attention=norm("input_layernorm"),
        qkv=part("qkv"),
        q_norm=norm("self_attn.q_norm") if of_heads else None,
        k_norm=norm("self_attn.k_norm") if of_heads else None,
        out=part("out"),
        before_mlp=norm("post_attention_layernorm"),
        gate_up=part("gate_up"),
        down=part("down"),
    )


def _fused(left: dict[str, Tensor], names: Sequence[str]) -> Linear:
    weights = [left.pop(f"{name}.weight") for name in names]
    biases = [bias for name in names if (bias := left.pop(f"{name}.bias", None)) is not None]
    if biases and len(biases) < len(names):
        raise KeyError(f"{names[0]}.bias")
    weight = torch.cat(weights)
    bias = torch.cat(biases).to(weight) if biases else None
    return Linear(weight=weight, bias=bias, sizes=tuple(map(len, weights)))


def _adapted(plain: Linear, adapter: Sequence[LowRank | None]) -> Linear:
    """With an adapter of each of the products that `plain` makes at once."""
    begins = accumulate(plain.sizes[:-1], initial=0)
    parts = [(begin, each) for begin, each in zip(begins, adapter, strict=True) if each]
    if not parts:
        return replace(plain, down=None, up=None)
    like = plain.weight
    downs = torch.cat([each.down for _, each in parts])
    ups = torch.zeros(len(like), len(downs))
    column = 0
    for begin, each in parts:
        rows, rank = each.up.shape
        ups[begin : begin + rows, column : column + rank] = each.up
        column += rank
    return replace(plain, down=downs.to(like), up=ups.to(like))
