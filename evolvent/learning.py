"""Composition of the trainer: the domain's examples, the seed model, the learner. Loads torch."""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils.logging import disable_progress_bar

from agents.engines.checkpoint.kind import longest
from agents.engines.checkpoint.prompting import (
    PROMPTING,
    Prompting,
    prompting_texts,
    read_prompting,
)
from agents.engines.config import LocalConfig
from agents.engines.local.device import device_of
from agents.evaluator import AGENT as EVALUATOR
from agents.parts import Parts
from agents.sources.learned import LearnedConfig
from bus.bus import Subscription
from bus.control import Switch
from bus.events import CURRENT
from evolvent.errors import UsageError, certain
from evolvent.examples import PLAIN, Examples, answer_tokens
from evolvent.given.exact import check_learned, check_served
from evolvent.given.own_model import end_of_answer, load_model
from evolvent.preflight.preflight import positions
from evolvent.recipe.recipe import Recipe
from evolvent.workplace import Workplace
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.filters.everything import AllConfig
from trainer.gradient import layers_of
from trainer.learner import Learner, warm_up
from trainer.lora import save_description, targets_of, with_adapter
from trainer.needs import Needs
from trainer.optimizer import Optimizer
from trainer.phases import Phases
from trainer.seed_model import make_model, make_tokenizer, save_model
from trainer.trainer import Lineage, Seeded, Trainer
from trainer.updates.nll import WARMUP_ROLES, WARMUP_SOLVED
from trainer.updates.proposals import WARMUP_PROPOSED

Progress = Callable[[str, int, int], None]


def build_trainer(
    place: Workplace, readers: Sequence[str], subscription: Subscription, switch: Switch
) -> Trainer:
    """The trainer of a run, every part from its recipe; the groups of `readers` read versions."""
    torch.set_num_threads(1)
    disable_progress_bar()
    recipe, parts = place.recipe, place.parts
    checkpoints = Checkpoints(
        place.path,
        recipe.checkpoints,
        keep_states=recipe.run.keep_states,
        evaluated_every=recipe.evaluator.every if EVALUATOR in readers else 0,
    )
    phases = Phases(recipe.phases, recipe.chains)
    pinned = [rule.version for rule in recipe.policies.values() if rule.follow == "reference"]
    return Trainer(
        bus=place.bus,
        subscription=subscription,
        lineage=Lineage(
            run=parts.run,
            recipe_digest=recipe.digest,
            seed=recipe.seed,
            checkpoints=checkpoints,
            needs=Needs(parts.log, readers, pinned, phases.policies),
            phases=phases,
        ),
        batch=recipe.trainer,
        make_seed=lambda: make_seed(recipe, parts, checkpoints.seed_folder, place.voice.progress),
        make_learner=partial(learner_from, recipe, parts),
        executor=place.executor,
        switch=switch,
        hands=place.hands,
    )


def learner_from(recipe: Recipe, parts: Parts, path: Path, policy: str = CURRENT) -> Learner:
    """An empty learner for the checkpoint folder and the policy it is given."""
    model = AutoModelForCausalLM.from_pretrained(path)
    return make_learner(recipe, parts.encoding(_encoder(path)), model, _prompting(path), policy)


def make_learner(
    recipe: Recipe,
    parts: Parts,
    model: Any,
    prompting: Prompting | None = None,
    policy: str = CURRENT,
) -> Learner:
    """What learns under the name of `policy`: `model`, or an adapter on it, where the recipe says;
    it may have that already. The recipe's filter looks at answers, and so is for the policy that
    answers. Raises `UsageError`."""
    vocab = int(model.get_input_embeddings().num_embeddings)
    model = _placed(recipe, model)
    return Learner(
        model=model,
        optimizer=Optimizer(model, recipe.optimizer),
        filter=(recipe.filter if policy == CURRENT else AllConfig()).build(parts),
        update=recipe.loss.build(parts),
        config=recipe.learner,
        schedule=recipe.schedule,
        seed=recipe.seed,
        format="lora" if recipe.lora.rank else "full",
        unknown=() if prompting is None else prompting.unknown(vocab),
    )


def _placed(recipe: Recipe, model: Any) -> Any:
    """The model that learns, where it learns, with an adapter where the recipe says."""
    if recipe.lora.rank and not hasattr(model, "peft_config"):
        # Made on the CPU, so that it has the same values wherever it learns.
        model = with_adapter(model.cpu(), recipe.lora, recipe.seed)
    _check_layers(recipe, model)
    return model.to(_device(recipe))


def _check_layers(recipe: Recipe, model: Any) -> None:
    if recipe.learner.gradient_checkpointing and not layers_of(model):
        raise UsageError(
            f"learner.gradient_checkpointing = true: models of kind {model.config.model_type!r} "
            "have no layers that can be computed again; set it to false"
        )


def make_seed(recipe: Recipe, parts: Parts, folder: Path, progress: Progress) -> Seeded:
    """Version 0: a fresh model or the user's own, briefly warmed up on the domain's easy levels."""
    with certain("version 0 cannot be made"):
        return _seeded(recipe, parts, folder, progress)


def _seeded(recipe: Recipe, parts: Parts, folder: Path, progress: Progress) -> Seeded:
    started = time.monotonic()
    model, tokenizer = _first_model(recipe, parts)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer.save_pretrained(folder)
    prompting, reads = _prompting(folder), longest(model.config.to_dict())
    given = recipe.model.path is not None
    if given:
        check_learned(model, reads)
        files = save_model(model, tokenizer, folder)
        if isinstance(recipe.engine, LocalConfig):
            check_served(folder, files)
    examples = _examples(recipe, parts, model, tokenizer, prompting)
    if adapts := given and recipe.lora.rank > 0:
        # Version 0 is the given model as it is and an adapter; a fresh one knows nothing yet.
        model = _placed(recipe, model)
    before = time.process_time()
    loss = warm_up(
        model.to(_device(recipe)),
        lambda index: examples.row(index, recipe.warmup.proposal_share, recipe.warmup.role_share),
        recipe.warmup,
        lambda done, total: progress("warming up the seed model", done, total),
        recipe.learner,
    )
    spent = time.process_time() - before
    if not adapts:
        save_model(model, tokenizer, folder)
    learner = make_learner(recipe, parts.encoding(examples.answer), model, prompting)
    if recipe.lora.rank:
        save_description(learner.model, folder)
    _remember(learner, recipe, parts, examples)
    metrics = {"warmup_steps": float(recipe.warmup.steps), "warmup_cpu_seconds": spent}
    metrics["warmup_seconds"] = time.monotonic() - started
    if math.isfinite(loss):
        metrics["warmup_loss"] = loss
    return Seeded(learner=learner, folder=folder, metrics=metrics)


def remember(learner: Learner, recipe: Recipe, parts: Parts, folder: Path) -> None:
    """Give a learner that holds the version 0 in `folder` the memory that it had there."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = _examples(recipe, parts, _described(folder), tokenizer, _prompting(folder))
    _remember(learner, recipe, parts, examples)


def _remember(learner: Learner, recipe: Recipe, parts: Parts, examples: Examples) -> None:
    for index in range(recipe.learner.replay_capacity if parts.domain.warmup_levels else 0):
        learner.replay.add(WARMUP_SOLVED, examples.solution(index))
        if recipe.warmup.proposal_share > 0:
            learner.replay.add(WARMUP_PROPOSED, examples.proposal(index))
        if recipe.warmup.role_share > 0:
            learner.replay.add(WARMUP_ROLES, examples.role(index))


def _examples(
    recipe: Recipe, parts: Parts, model: Any, tokenizer: Any, prompting: Prompting
) -> Examples:
    return Examples(
        parts.domain,
        recipe.seed,
        prompting,
        end=end_of_answer(model, tokenizer),
        context=longest(model.config.to_dict()),
        proposer=recipe.source if isinstance(recipe.source, LearnedConfig) else PLAIN,
        roles=recipe.shown_roles,
        wrong_share=recipe.warmup.wrong_share,
    )


def _device(recipe: Recipe) -> torch.device:
    """Where learning computes. Raises `UsageError` for what is not there."""
    try:
        return device_of(recipe.learner.device)
    except ValueError as error:
        raise UsageError(f"learner.{error}") from None


def _first_model(recipe: Recipe, parts: Parts) -> tuple[Any, Any]:
    """The model to begin with, which can learn as the recipe says, and its tokenizer."""
    if recipe.model.path is None:
        size = recipe.model.model_copy(update={"max_positions": positions(recipe, parts.domain)})
        model, tokenizer = make_model(size, recipe.seed), make_tokenizer(size.vocab)
    else:
        model, tokenizer = load_model(recipe.model.path, recipe.model.system)
    _check_layers(recipe, model)
    if recipe.lora.rank:
        try:
            targets_of(model, recipe.lora)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return model, tokenizer


def _encoder(folder: Path) -> Callable[[str], tuple[int, ...]]:
    """Answers as the model in `folder` writes them. Reads its tokenizer when first asked, its
    weights never."""

    @cache
    def known() -> tuple[Prompting, int]:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return _prompting(folder), end_of_answer(_described(folder), tokenizer)

    return lambda answer: answer_tokens(known()[0], answer, known()[1])


def _described(folder: Path) -> Any:
    """What a folder says of its model, without its weights."""
    return SimpleNamespace(
        config=AutoConfig.from_pretrained(folder),
        generation_config=GenerationConfig.from_pretrained(folder),
    )


def _prompting(folder: Path) -> Prompting:
    """As engines will prompt the model."""
    files = [folder / name for name in PROMPTING if (folder / name).exists()]
    return read_prompting(prompting_texts({file.name: file.read_bytes() for file in files}))
