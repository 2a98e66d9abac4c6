"""How large a run's model is, and what Muon would do in a step of it, seen without loading it: of a
fresh one by its recipe, of any other by the heads of its files."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from trainer.alphabet import FULL
from trainer.config import ModelConfig, OptimizerConfig, muon_operations

_FLOAT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`cached_bytes` are the keys and values of one token in an engine, in 32 bits; `kept_bytes`
    what one token keeps for its gradient, at least; `muon_operations` are those of a step."""

    parameters: int
    cached_bytes: int
    kept_bytes: int
    muon_operations: int

    @classmethod
    def fresh(cls, model: ModelConfig) -> "Sizes":
        inner = model.heads * model.head_dim
        matrices = [(model.hidden, inner)] * 4 + [(model.hidden, model.intermediate)] * 3
        layer = sum(map(prod, matrices)) + 2 * model.hidden
        return cls(
            parameters=max(model.vocab, FULL) * model.hidden + model.layers * layer,
            muon_operations=model.layers * sum(map(muon_operations, matrices)),
            cached_bytes=2 * model.layers * inner * _FLOAT,
            kept_bytes=model.layers * (4 * model.hidden + 2 * model.intermediate) * _FLOAT,
        )

    @classmethod
    def of_folder(cls, folder: Path) -> "Sizes":
        config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
        layers = _first(config, "num_hidden_layers", "n_layer")
        hidden = _first(config, "hidden_size", "n_embd")
        heads = max(1, _first(config, "num_attention_heads", "n_head"))
        shared = _first(config, "num_key_value_heads") or heads
        head_dim = _first(config, "head_dim") or hidden // heads
        inner = _first(config, "intermediate_size", "n_inner")
        shapes = {name: s for path in folder.glob("*.safetensors") for name, s in _shapes(path)}
        hidden_shapes = [s for name, s in shapes.items() if OptimizerConfig.is_hidden(name, s)]
        return cls(
            parameters=sum(map(prod, shapes.values())),
            muon_operations=sum(map(muon_operations, hidden_shapes)),
            cached_bytes=2 * layers * shared * head_dim * _FLOAT,
            kept_bytes=layers * (4 * hidden + 2 * inner) * _FLOAT,
        )


def _first(config: dict[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := config.get(name), int)), 0)


def _shapes(path: Path) -> list[tuple[str, list[int]]]:
    """By the head of a safetensors file: 8 bytes of length, then JSON. None where it is none."""
    try:
        with path.open("rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return [
            (name, list(map(int, each["shape"])))
            for name, each in head.items()
            if name != "__metadata__"
        ]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return []
