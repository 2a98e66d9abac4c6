"""Weights of another version in a forward pass: they say what a model loaded from its files says,
and the model that learns stays what it was."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom
from tests.trainer.lessons import PARTS, TINY, batch, judgment, learner
from tests.trainer.test_lora import Adapting
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.checkpoint.manifest import DamagedCheckpoint
from trainer.checkpoint.recovery import published
from trainer.forward import score
from trainer.learner import Learner
from trainer.next_tokens import NextTokens
from trainer.reference import References
from trainer.rows import Row
from trainer.seed_model import make_model, make_tokenizer, save_model
from trainer.trainer import Seeded
from trainer.updates.grpo import GrpoConfig
from trainer.updates.update import Reference

ROWS = (
    Row(prompt=(31, 2, 27), completion=(2, 1)),
    Row(prompt=(31, 2, 3, 4, 5, 27), completion=(5, 4, 3, 2, 1)),
)


class Untied(Classroom):
    """A classroom of a model whose output layer has weights of its own."""

    def _make_seed(self) -> Seeded:
        torch.manual_seed(3)
        config = LlamaConfig(
            vocab_size=64,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=1,
        )
        model = LlamaForCausalLM(config)
        aside = self.folder / "checkpoints" / ".seed"
        save_model(model, make_tokenizer(), aside)
        return Seeded(learner=self._learner(model), folder=aside, metrics={})


Room = Callable[[MemoryBus, Path], Classroom]


def taught(make: Room, folder: Path) -> Classroom:
    """A run of three versions."""
    room = make(MemoryBus(), folder)
    torch.set_num_threads(1)

    async def scenario() -> None:
        await room.judge(0, 2 * SIZE)
        await room.teach(versions=3)

    asyncio.run(scenario())
    return room


def loaded(room: Classroom, number: int) -> Any:
    """A version as transformers and peft read its files."""
    weights = room.versions()[number]
    folder = room.folder / weights.location
    model = AutoModelForCausalLM.from_pretrained(folder)
    return (
        PeftModel.from_pretrained(model, folder / "adapter") if weights.format == "lora" else model
    )


def resumed(room: Classroom) -> Learner:
    """What would go on from the newest version."""
    checkpoints = Checkpoints(room.folder)
    head = published(room.folder, room.versions()[-1])
    snapshot = checkpoints.load(head)
    made = room._learner(AutoModelForCausalLM.from_pretrained(snapshot.shared_from))
    made.restore(snapshot.model, snapshot.state, head.weights.step)
    return made


def kept(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize(("name", "number"), [("first", 0), ("previous", 2)])
@pytest.mark.parametrize("make", [Classroom, Untied, Adapting])
def test_a_reference_says_what_its_version_says_and_leaves_the_learner_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Room,
    name: Reference,
    number: int,
) -> None:
    room = taught(make, tmp_path)
    one, version = resumed(room), loaded(room, number)
    before = kept(one.model)
    with torch.no_grad():
        own = score(one.model, ROWS).logprobs_BT
        expected = score(version, ROWS).logprobs_BT
    made: set[type] = set()
    make_module = nn.Module.__init__

    def watched(module: nn.Module, *args: Any, **kwargs: Any) -> None:
        made.add(type(module))
        make_module(module, *args, **kwargs)

    references = References(room.bus.log, Checkpoints(room.folder))
    with monkeypatch.context() as patched, torch.no_grad():
        patched.setattr(nn.Module, "__init__", watched)
        weights = references.weights(name, room.versions()[-1])
        found = score(one.model, ROWS, weights).logprobs_BT
    assert made <= {nn.ModuleList, NextTokens}, "more than a view of the layers there are"
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    # The weights that learn are neither those of version 0 nor the average that is published.
    assert not torch.allclose(own, expected, rtol=0, atol=1e-4)
    after = kept(one.model)
    assert all(torch.equal(after[each], value) for each, value in before.items())
    with torch.no_grad():
        assert torch.equal(score(one.model, ROWS).logprobs_BT, own)


def test_no_reference_is_looked_for_where_none_is_wanted(tmp_path: Path) -> None:
    room = taught(Classroom, tmp_path)
    references = References(MemoryBus(), Checkpoints(tmp_path / "nowhere"))
    assert references.weights(None, room.versions()[-1]) is None
    with pytest.raises(DamagedCheckpoint, match="version 0 of checkpoints is not there"):
        references.weights("first", room.versions()[-1])


def test_version_0_is_read_once_and_never_if_it_is_damaged(tmp_path: Path) -> None:
    room = taught(Classroom, tmp_path)
    first, *_, head = room.versions()
    references = References(room.bus.log, Checkpoints(room.folder))
    weights = references.weights("first", head)
    path = room.folder / first.location / "model.safetensors"
    content = path.read_bytes()
    path.unlink()  # what is mapped into memory stays as it is
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert references.weights("first", head) is weights
    with pytest.raises(DamagedCheckpoint, match=r"model.safetensors is damaged"):
        References(room.bus.log, Checkpoints(room.folder)).weights("first", head)


def test_learning_with_a_divergence_stays_nearer_to_the_reference() -> None:
    reference = kept(make_model(TINY, seed=4))
    lessons = batch([judgment(index, [1.0, 0.0, 0.0, 1.0]) for index in range(6)])
    rows = [
        Row(prompt=turn.prompt_tokens, completion=turn.tokens)
        for judged in lessons.judgments
        for sample in judged.attempt.samples
        for turn in sample.turns
    ]

    def distance(kl: float) -> float:
        one = learner(update=GrpoConfig(steps=8, kl=kl).build(PARTS))
        for version in range(1, 5):
            one.learn(lessons, version, reference if kl else None)
        with torch.no_grad():
            own, wanted = score(one.model, rows), score(one.model, rows, reference)
        apart = (own.logprobs_BT - wanted.logprobs_BT).square() * own.mask_BT
        return float(apart.sum() / own.mask_BT.sum())

    assert distance(kl=20.0) < 0.5 * distance(kl=0.0)
