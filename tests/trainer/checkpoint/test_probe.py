"""The probe is what the published weights say, not what the model that learns says."""

import json

import torch

from tests.trainer.lessons import TINY
from trainer.checkpoint.probe import make_probe
from trainer.seed_model import make_model


def test_the_probe_is_of_the_given_weights() -> None:
    model, published = make_model(TINY, seed=1), make_model(TINY, seed=2)
    before = [parameter.clone() for parameter in model.parameters()]
    model.train()
    probes = json.loads(make_probe(model, dict(published.named_parameters())))["probes"]
    assert model.training
    assert all(map(torch.equal, before, model.parameters()))
    assert len(probes) == 4
    for probe in probes:
        ids = torch.tensor([probe["tokens"]])
        with torch.no_grad():
            logprobs = torch.log_softmax(published(ids).logits[0, :-1], -1)
        said = logprobs.gather(1, ids[0, 1:, None])[:, 0]
        assert len(probe["tokens"]) == len(probe["logprobs"]) + 1
        assert torch.allclose(said, torch.tensor(probe["logprobs"]), atol=1e-5)


def test_the_probe_of_the_same_weights_is_the_same_file() -> None:
    first, second = make_model(TINY, seed=1), make_model(TINY, seed=2)
    weights = dict(first.named_parameters())
    assert make_probe(first, weights) == make_probe(second, weights)
    assert make_probe(first, weights) != make_probe(first, dict(second.named_parameters()))
