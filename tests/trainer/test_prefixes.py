"""Rows that begin alike are read once, and every loss has the gradient that it has otherwise."""

from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from tests.trainer.test_gradient import LOSSES, plainly, some_model, taken
from trainer.config import LearnerConfig, LoraConfig
from trainer.forward import reads_trees
from trainer.gradient import Gradient
from trainer.lora import with_adapter
from trainer.optimizer import trainable
from trainer.prefixes import parts_of_trees, trees_of
from trainer.rows import Row

SHARED = LearnerConfig(shared_prefixes=True)
TOKENS = some.lists(some.integers(2, 4), min_size=1, max_size=9)


def groups(count: int, samples: int, temperature: float = 1.0) -> list[Row]:
    """As a chat template has them: all begin alike, the rows of a group have one prompt."""
    random = Random(count)
    system = tuple(random.choices(range(2, 40), k=6))
    rows = []
    for _ in range(count):
        prompt = system + tuple(random.choices(range(2, 40), k=random.randint(1, 4)))
        for _ in range(samples):
            completion = tuple(random.choices(range(2, 40), k=random.randint(1, 5)))
            logprobs = tuple(-3.7 - random.random() for _ in completion)
            row = Row(prompt=prompt, completion=completion, logprobs=logprobs)
            rows.append(replace(row, weight=random.uniform(-1, 1) + 0.2, temperature=temperature))
    random.shuffle(rows)
    return rows


def model_of(kind: str, seed: int = 1) -> Any:
    if kind != "llama":
        return some_model(kind, seed)
    torch.manual_seed(seed)
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2}
    model = with_adapter(LlamaForCausalLM(LlamaConfig(**sizes, **heads)), LoraConfig(rank=2), seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@given(some.lists(some.tuples(TOKENS, TOKENS), min_size=1, max_size=12))
def test_a_token_sees_what_its_row_has_before_it_and_nothing_else(
    texts: list[tuple[list[int], list[int]]],
) -> None:
    rows = [Row(prompt=tuple(prompt), completion=tuple(made)) for prompt, made in texts]
    trees = trees_of(rows)
    assert sorted(row for tree in trees for row in tree.rows) == list(range(len(rows)))
    for tree in trees:
        seen_TT, depths = tree.seen()
        for row, path in zip(tree.rows, tree.paths, strict=True):
            read = (*rows[row].prompt, *rows[row].completion)[:-1]
            assert tuple(tree.tokens[place] for place in path) == read
            for depth, place in enumerate(path):
                assert seen_TT[place].nonzero()[:, 0].tolist() == path[: depth + 1]
                assert depths[place] == depth
    distinct = {(*row.prompt, *row.completion)[:-1][: end + 1] for row in rows for end in range(18)}
    assert sum(len(tree.tokens) for tree in trees) == len(distinct), "no token is read twice"


@pytest.mark.parametrize("kind", ["llama", "default", "adapter", "gpt2"])
@pytest.mark.parametrize("named", ["nll", "grpo with a reference", "pairs"])
def test_trees_give_the_gradient_of_rows_alone(kind: str, named: str) -> None:
    model, rows = model_of(kind), groups(5, 4, temperature=0.6)
    assert reads_trees(model)
    other = model_of(kind, seed=2) if "reference" in named else None
    weights = None if other is None else dict(trainable(other))
    if other is not None:
        for name, parameter in other.named_parameters():
            if name not in trainable(other):  # an adapter stands on the weights of the learner
                parameter.data.copy_(model.get_parameter(name))
    doubled = [None if each is None else deepcopy(each).double() for each in (model, other)]
    exact = plainly(doubled[0], rows, LOSSES[named], doubled[1])
    expected = plainly(model, rows, LOSSES[named], other)
    scale = max(float(each.abs().max()) for each in exact[1].values())
    # What numbers of 32 bits lose with rows alone, which is more on some processors.
    lost = max(float((value - exact[1][name]).abs().max()) for name, value in expected[1].items())
    assert lost < 1e-4 * scale
    for tokens in (1, 60, 10_000):
        gradient = Gradient(model, SHARED.model_copy(update={"micro_batch_tokens": tokens}))
        loss = gradient.add(rows, LOSSES[named], weights)
        assert loss == pytest.approx(expected[0], rel=1e-5, abs=1e-6)
        for name, value in taken(model).items():
            most = 1e-5 * scale + lost
            assert torch.allclose(value.double(), exact[1][name], rtol=1e-4, atol=most), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_shared_prompt_is_read_once(precision: str) -> None:
    model, rows = model_of("default"), groups(5, 4)
    config = SHARED.model_copy(update={"precision": precision})
    gradient, read = Gradient(model, config.model_copy(update={"micro_batch_tokens": 10_000})), []
    model.get_input_embeddings().register_forward_hook(lambda _, asked, __: read.append(asked[0]))
    gradient.add(rows, LOSSES["nll"])
    [tokens_UT] = read
    longest = max(len(row.prompt) + len(row.completion) for row in rows)
    assert tokens_UT.numel() < 0.6 * len(rows) * (longest - 1)


def test_parts_are_whole_trees_of_no_more_tokens_than_allowed() -> None:
    random = Random(3)
    rows = [
        Row(prompt=tuple(random.choices(range(40), k=random.randint(1, 90))), completion=(1, 2))
        for _ in range(40)
    ]
    for tokens in (1, 300, 600, 10_000):
        parts = parts_of_trees(rows, tokens)
        assert sorted(index for part in parts for index in part) == list(range(40))
        for part in parts:
            sizes = [len(tree.tokens) for tree in trees_of([rows[index] for index in part])]
            assert len(sizes) * max(sizes) <= tokens or len(sizes) == 1
    assert len(parts) == 1


def test_a_model_whose_layers_look_back_so_far_only_is_read_row_by_row() -> None:
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, head_dim=8, sliding_window=3,
        )
    ).eval()  # fmt: skip
    rows = groups(3, 4)
    expected = plainly(model, rows, LOSSES["nll"], None)
    assert not reads_trees(model)
    loss = Gradient(model, SHARED.model_copy(update={"micro_batch_tokens": 10_000})).add(
        rows, LOSSES["nll"]
    )
    assert loss == pytest.approx(expected[0], rel=1e-5)
