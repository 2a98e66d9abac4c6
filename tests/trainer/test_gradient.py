"""The gradient of a step made in parts, against the whole step with all its logits at once."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel

from tests.trainer.lessons import PARTS, TINY
from trainer import next_tokens
from trainer.config import LearnerConfig, LoraConfig
from trainer.forward import Padded, Scored, score
from trainer.gradient import Gradient, parts_of
from trainer.lora import with_adapter
from trainer.next_tokens import NextTokens
from trainer.optimizer import trainable
from trainer.rows import Row
from trainer.seed_model import make_model
from trainer.updates.grpo import GrpoConfig
from trainer.updates.nll import NllConfig


def rows_of(count: int, temperature: float = 1.0) -> list[Row]:
    random = Random(count)
    rows = []
    for _ in range(count):
        lengths = random.randint(1, 6), random.randint(1, 7)
        prompt, completion = (tuple(random.choices(range(2, 40), k=each)) for each in lengths)
        logprobs = tuple(-3.7 - random.random() for _ in completion)
        rows.append(
            Row(
                prompt=prompt,
                completion=completion,
                logprobs=logprobs,
                weight=random.uniform(-1, 1) + 0.2,
                temperature=temperature,
            )
        )
    return rows


def coupled(scored: Scored) -> Tensor:
    """A loss that no sum over rows is: every pair of rows counts, as in losses by preference."""
    said_B = (scored.logprobs_BT * scored.mask_BT).sum(1) * scored.weights_B
    return -F.logsigmoid(said_B[:, None] - said_B[None, :] - 1).mean()


def plainly(
    model: Any, rows: list[Row], loss: Callable[[Scored], Tensor], reference: Any
) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradient by one forward pass with the logits of everything."""

    def scored_by(model: Any) -> Scored:
        padded = Padded.of(rows, torch.device("cpu"))
        logits = model(input_ids=padded.tokens_BT[:, :-1]).logits
        logits = logits / padded.temperature_B[:, None, None]
        said = torch.log_softmax(logits, -1).gather(2, padded.tokens_BT[:, 1:, None])[..., 0]
        return padded.scored(said)

    scored = scored_by(model)
    if reference is not None:
        with torch.no_grad():
            scored = replace(scored, reference_BT=scored_by(reference).logprobs_BT)
    total = loss(scored)
    total.backward()  # type: ignore[no-untyped-call]
    return float(total.detach()), taken(model)


def taken(model: Any) -> dict[str, Tensor]:
    """The gradient, which is cleared."""
    found = {}
    for name, parameter in trainable(model).items():
        if parameter.grad is not None:
            found[name] = parameter.grad.clone()
        parameter.grad = None
    return found


def some_model(kind: str, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    if kind == "gpt2":
        model: Any = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2))
    elif kind == "gemma2":  # it bends its logits
        model = Gemma2ForCausalLM(
            Gemma2Config(
                vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=1, head_dim=8,
                final_logit_softcapping=2.0,
            )
        )  # fmt: skip
    else:
        model = make_model(TINY, seed)
    if kind == "adapter":
        model = with_adapter(model, LoraConfig(rank=2), seed)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


LOSSES: dict[str, Callable[[Scored], Tensor]] = {
    "nll": NllConfig().build(PARTS),
    "grpo": GrpoConfig(clip_low=5, clip_high=5).build(PARTS),
    "grpo with a reference": GrpoConfig(kl=0.3).build(PARTS),
    "pairs": coupled,
}


@pytest.mark.parametrize("kind", ["default", "adapter", "gpt2", "gemma2"])
@pytest.mark.parametrize("named", LOSSES)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_parts_give_the_gradient_of_the_whole(
    kind: str, named: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows = some_model(kind), rows_of(17, temperature)
    other = some_model(kind, seed=2) if "reference" in named else None
    weights = None if other is None else dict(trainable(other))
    if kind == "adapter" and other is not None:
        # An adapter stands on the weights of the model that learns.
        for name, parameter in other.named_parameters():
            if "lora_" not in name:
                parameter.data.copy_(model.get_parameter(name))
    expected = plainly(model, rows, LOSSES[named], other)
    monkeypatch.setattr(next_tokens, "_LOGITS", 64 * 5)
    for tokens in (1, 40, 10_000):
        gradient = Gradient(model, LearnerConfig(micro_batch_tokens=tokens))
        loss = gradient.add(rows, LOSSES[named], weights)
        found = taken(model)
        assert loss == pytest.approx(expected[0], rel=1e-5, abs=1e-6)
        assert found.keys() == expected[1].keys() and found
        scale = max(float(each.abs().max()) for each in expected[1].values())
        for name, value in found.items():
            assert torch.allclose(value, expected[1][name], rtol=1e-4, atol=1e-5 * scale), name


@pytest.mark.parametrize("kind", ["default", "adapter", "gpt2", "gemma2"])
def test_no_more_logits_are_made_at_once_than_allowed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows = some_model(kind), rows_of(17)
    monkeypatch.setattr(next_tokens, "_LOGITS", 64 * 5)
    made: list[int] = []
    causal = model.get_base_model() if kind == "adapter" else model
    causal.get_output_embeddings().register_forward_hook(
        lambda layer, asked, said: made.append(said.numel())
    )
    gradient = Gradient(model, LearnerConfig(micro_batch_tokens=40))
    made.clear()
    gradient.add(rows, LOSSES["grpo"])
    completions = sum(len(row.completion) for row in rows)
    assert max(made) <= 64 * 5
    # Of each completion token: to know the slope, to carry it on, and once more for its gradient.
    assert 2 * completions * 64 <= sum(made) <= 3 * completions * 64


@pytest.mark.parametrize("named", LOSSES)
@pytest.mark.parametrize("tokens", [30, 10_000])
def test_what_is_said_several_times_is_read_once_and_counts_every_time(
    named: str, tokens: int
) -> None:
    model, rows = some_model("default"), rows_of(9)
    # The same tokens, each time with a weight and log-probabilities of its own.
    again = [replace(row, weight=row.weight - 0.7) for row in rows[:5]]
    rows += [replace(row, logprobs=tuple(each + 0.1 for each in row.logprobs)) for row in again]
    rows.append(replace(rows[0], temperature=0.5))
    reference = some_model("default", seed=2) if "reference" in named else None
    weights = None if reference is None else dict(trainable(reference))
    expected = plainly(model, rows, LOSSES[named], reference)
    gradient, read = Gradient(model, LearnerConfig(micro_batch_tokens=tokens)), []
    model.get_input_embeddings().register_forward_hook(lambda _, asked, __: read.append(asked[0]))
    loss = gradient.add(rows, LOSSES[named], weights)
    assert loss == pytest.approx(expected[0], rel=1e-5, abs=1e-6)
    for name, value in taken(model).items():
        assert torch.allclose(value, expected[1][name], rtol=1e-4, atol=1e-6), name
    times = (1 if tokens == 10_000 else 2) + (reference is not None)
    assert sum(len(tokens_BT) for tokens_BT in read) == times * 10


def test_a_model_that_cannot_be_asked_in_parts_is_asked_as_a_whole() -> None:
    class Odd(torch.nn.Module):
        """What it says depends on more than the last hidden states."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = make_model(TINY, 3)
            self.config, self.device = self.inner.config, self.inner.device

        def get_input_embeddings(self) -> Any:
            return self.inner.get_input_embeddings()

        def get_decoder(self) -> Any:
            return self.inner.model

        def forward(self, input_ids: Tensor, use_cache: bool = False) -> Any:
            said = self.inner(input_ids=input_ids, use_cache=use_cache)
            said.logits = said.logits + self.inner.get_input_embeddings()(input_ids).sum(
                -1, keepdim=True
            ) * torch.arange(64.0)
            return said

    odd, rows = Odd(), rows_of(5)
    expected = plainly(odd, rows, LOSSES["nll"], None)
    loss = Gradient(odd, LearnerConfig(micro_batch_tokens=20)).add(rows, LOSSES["nll"])
    assert loss == pytest.approx(expected[0], rel=1e-5)
    for name, value in taken(odd).items():
        assert torch.allclose(value, expected[1][name], rtol=1e-4, atol=1e-6), name


def test_a_loss_that_is_not_finite_leaves_no_gradient() -> None:
    model = make_model(TINY)
    for tokens in (20, 10_000):
        value = Gradient(model, LearnerConfig(micro_batch_tokens=tokens)).add(
            rows_of(9), lambda scored: coupled(scored) * torch.inf
        )
        assert value == float("inf")
        assert taken(model) == {}


def test_parts_hold_every_row_once_and_no_more_tokens_than_allowed() -> None:
    rows = rows_of(40)
    lengths = [len(row.prompt) + len(row.completion) for row in rows]
    for tokens in (1, 13, 30, 100, 10_000):
        parts = parts_of(rows, tokens)
        assert sorted(index for part in parts for index in part) == list(range(40))
        for part in parts:
            padded = max(lengths[index] for index in part) * len(part)
            assert padded <= tokens or len(part) == 1
    assert len(parts_of(rows, 10_000)) == 1


def test_the_size_of_parts_follows_from_what_a_token_keeps() -> None:
    small, large = make_model(TINY), make_model(TINY.model_copy(update={"layers": 6}))
    kept = [NextTokens(model).bytes_per_token for model in (small, large)]
    hidden = small.config.hidden_size * 4
    assert kept[0] > 4 * hidden * TINY.layers
    assert 6 / TINY.layers * 0.5 < kept[1] / kept[0] < 6 / TINY.layers * 1.5
    assert Gradient(small).tokens == (1 << 30) // kept[0]


def test_the_ratio_to_what_was_sampled_is_one_at_any_temperature() -> None:
    model = make_model(TINY, seed=5)
    for temperature in (0.3, 1.0, 1.5):
        rows = rows_of(7, temperature)
        padded = Padded.of(rows, torch.device("cpu"))
        with torch.no_grad():
            logits = model(padded.tokens_BT[:, :-1]).logits / temperature
            said = torch.log_softmax(logits, -1).gather(2, padded.tokens_BT[:, 1:, None])[..., 0]
            found = score(model, rows)
        ratio = (found.logprobs_BT - said).exp()[found.mask_BT > 0]
        assert torch.allclose(ratio, torch.ones_like(ratio), atol=1e-5)
