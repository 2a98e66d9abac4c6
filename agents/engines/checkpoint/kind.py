"""What a model's config.json says of how long it reads and how far it looks back. Knows no
tensor; loads no model library.
"""

from collections.abc import Mapping
from typing import Any

_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length")
_WINDOWS = ("sliding_window", "attention_chunk_size", "local_attention")
_BY_LENGTH = ("dynamic", "longrope")
"""Position encodings that change once a text is longer than what the model first learned."""


def longest(config: Mapping[str, Any]) -> int | None:
    """How many tokens the model reads, prompt and answer together; None where it names no limit.

    Where the encoding of all positions depends on the length of the text, only as many as are
    encoded alike: a token's keys would otherwise change with those that follow.
    """
    named = [config[name] for name in _LENGTHS if _is_count(config.get(name))]
    limits = named[:1]
    for rope in _ropes(config):
        if rope.get("rope_type", rope.get("type")) in _BY_LENGTH:
            original = rope.get("original_max_position_embeddings")
            original = original or config.get("original_max_position_embeddings")
            limits += [original] if _is_count(original) else []
    return min(limits, default=None)


def windows(config: Mapping[str, Any]) -> dict[str, int]:
    """The fields by which some layers look back less far than the model reads, and how far."""
    reads = longest(config)
    if config.get("use_sliding_window") is False:
        config = {**config, "sliding_window": None}
    found = {name: config[name] for name in _WINDOWS if _is_count(config.get(name))}
    return {name: value for name, value in found.items() if reads is None or value < reads}


def _ropes(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """One description of rotary positions, or one per kind of layer."""
    found: list[Mapping[str, Any]] = []
    for name in ("rope_parameters", "rope_scaling"):
        described = config.get(name)
        if isinstance(described, Mapping):
            nested = [each for each in described.values() if isinstance(each, Mapping)]
            found += [described, *nested]
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
