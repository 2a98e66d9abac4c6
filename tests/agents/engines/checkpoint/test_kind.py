"""How long a model reads and how far it looks back, as its config.json says."""

from typing import Any

import pytest

from agents.engines.checkpoint.kind import longest, windows

LONG = {"rope_type": "longrope", "original_max_position_embeddings": 4096}
NESTED = {"full_attention": {"rope_type": "dynamic", "original_max_position_embeddings": 64}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 128}, 128),
        ({"n_positions": 1024}, 1024),
        ({"max_seq_len": 2048}, 2048),
        ({}, None),
        ({"max_position_embeddings": None, "vocab_size": 9}, None),
        ({"max_position_embeddings": 131072, "rope_parameters": LONG}, 4096),
        ({"max_position_embeddings": 128, "rope_scaling": NESTED}, 64),
        ({"max_position_embeddings": 128, "rope_scaling": {"type": "linear", "factor": 2}}, 128),
    ],
)
def test_a_model_reads_as_much_as_is_encoded_alike(
    config: dict[str, Any], expected: int | None
) -> None:
    assert longest(config) == expected


def test_a_window_matters_where_it_is_shorter_than_what_is_read() -> None:
    assert windows({"max_position_embeddings": 64, "sliding_window": 8}) == {"sliding_window": 8}
    assert windows({"max_position_embeddings": 64, "sliding_window": 4096}) == {}
    assert windows({"sliding_window": 8, "use_sliding_window": False}) == {}
    assert windows({"sliding_window": None}) == {}
