"""Composition of the trainer: the domain's examples, the seed model, the learner. Loads torch."""

import math
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from agents.domains.domain import Domain
from bus.bus import Bus, Subscription
from evolvent.recipe import Recipe
from evolvent.run_folder import RunFolder
from trainer.checkpoint import Checkpoints
from trainer.learner import Learner, warm_up
from trainer.losses.nll import WARMUP_SOLVED
from trainer.losses.proposals import WARMUP_PROPOSED
from trainer.optimizer import Optimizer
from trainer.rows import Row
from trainer.seed_model import make_model, make_tokenizer, save_model
from trainer.trainer import Lineage, Seeded, Trainer

Progress = Callable[[str, int, int], None]


def build_trainer(
    folder: RunFolder,
    recipe: Recipe,
    bus: Bus,
    subscription: Subscription,
    executor: ThreadPoolExecutor,
    progress: Progress,
) -> Trainer:
    """The trainer of a run, every part from its recipe."""
    torch.set_num_threads(1)
    disable_progress_bar()
    checkpoints = Checkpoints(folder.path, recipe.run.keep_states)
    return Trainer(
        bus=bus,
        subscription=subscription,
        lineage=Lineage(
            run=folder.run_id,
            recipe_digest=recipe.digest,
            seed=recipe.seed,
            checkpoints=checkpoints,
        ),
        batch=recipe.trainer,
        make_seed=lambda: make_seed(recipe, checkpoints.root / ".seed", progress),
        make_learner=lambda path: make_learner(recipe, AutoModelForCausalLM.from_pretrained(path)),
        executor=executor,
    )


def make_learner(recipe: Recipe, model: Any) -> Learner:
    return Learner(
        model=model,
        optimizer=Optimizer(model, recipe.optimizer),
        loss=recipe.loss.build(),
        config=recipe.learner,
        seed=recipe.seed,
    )


def make_seed(recipe: Recipe, folder: Path, progress: Progress) -> Seeded:
    """Version 0: a fresh model, briefly warmed up on the domain's easy levels."""
    started = time.monotonic()
    model = make_model(recipe.model, recipe.seed)
    tokenizer = make_tokenizer(recipe.model.vocab)
    examples = Examples(
        recipe.domain.build(), recipe.seed, tokenizer.encode, tokenizer.eos_token_id
    )
    loss = warm_up(
        model,
        lambda index: examples.row(index, recipe.warmup.proposal_share),
        recipe.warmup,
        lambda done, total: progress("warming up the seed model", done, total),
    )
    shutil.rmtree(folder, ignore_errors=True)
    save_model(model, tokenizer, folder)
    learner = make_learner(recipe, model)
    for index in range(recipe.learner.replay_capacity):
        learner.replay.add(WARMUP_SOLVED, examples.solution(index))
        if recipe.warmup.proposal_share > 0:
            learner.replay.add(WARMUP_PROPOSED, examples.proposal(index))
    metrics = {"warmup_steps": float(recipe.warmup.steps)}
    metrics["warmup_seconds"] = time.monotonic() - started
    if math.isfinite(loss):
        metrics["warmup_loss"] = loss
    return Seeded(learner=learner, folder=folder, metrics=metrics)


class Examples:
    """Solved tasks of the warm-up levels, as rows; row `index` follows from the seed alone."""

    def __init__(
        self, domain: Domain, seed: int, encode: Callable[[str], list[int]], end: int
    ) -> None:
        self._domain = domain
        self._seed = seed
        self._encode = encode
        self._end = end

    def row(self, index: int, proposal_share: float) -> Row:
        """In the solver's role, or with probability `proposal_share` in the proposer's."""
        if Random(f"{self._seed}/role/{index}").random() < proposal_share:
            return self.proposal(index)
        return self.solution(index)

    def solution(self, index: int) -> Row:
        problem = self._problem(index)
        return self._row(problem.prompt, problem.answer)

    def proposal(self, index: int) -> Row:
        return self._row(self._domain.proposer_prompt(), self._domain.write(self._problem(index)))

    def _problem(self, index: int) -> Any:
        random = Random(f"{self._seed}/warm-up/{index}")
        family = random.choice(list(self._domain.families))
        return self._domain.make(family, random.choice(list(self._domain.warmup_levels)), random)

    def _row(self, prompt: str, completion: str) -> Row:
        return Row(
            prompt=tuple(self._encode(prompt)),
            completion=(*self._encode(completion), self._end),
        )
