"""How far an engine may be from a version's probe: further where the model amplifies rounding."""

import json

from agents.engines.checkpoint.probe import Probe, failure
from trainer.checkpoint.probe import make_probe
from trainer.config import ModelConfig
from trainer.seed_model import make_model


def test_a_model_that_amplifies_rounding_is_allowed_more() -> None:
    plain = Probe(tokens=(1, 2), logprobs=(-3.0,))
    large = Probe(tokens=(1, 2), logprobs=(-3.0,), rounding=3e-4)
    assert failure(plain, [-3.0005], "float32") is None
    assert "0.01 off, 0.001 is allowed" in str(failure(plain, [-3.01], "float32"))
    assert failure(large, [-3.01], "float32") is None
    assert "0.05 off, 0.03 is allowed" in str(failure(large, [-3.05], "float32"))
    assert failure(large, [float("nan")], "float32") is not None
    for rounding in (1.0, float("inf"), float("nan")):
        any_other = Probe(tokens=(1, 2), logprobs=(-3.0,), rounding=rounding)
        assert failure(any_other, [-3.3], "float32") is not None


def test_a_small_model_hardly_amplifies_it() -> None:
    model = make_model(ModelConfig(), 1)
    said = json.loads(make_probe(model, {}))
    assert 0 < said["rounding"] < 1e-5
    assert said["probes"] == json.loads(make_probe(model, {}))["probes"]
