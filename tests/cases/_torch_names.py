"""Names of the program that cases use and that load torch, and how its parts are put together.
When one moves, adapt it here."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM

from agents.engines.engine import EngineUnusable, Request, SwapRefused
from agents.engines.local.engine import LocalEngine
from bus.events import Judgment
from evolvent.given.own_model import load_model
from evolvent.learning import make_learner, make_seed
from evolvent.recipe.recipe import Recipe
from tests.cases._names import parts_of
from trainer.batch import Batch
from trainer.checkpoint.checkpoint import Checkpoints, Snapshot, Staged
from trainer.checkpoint.manifest import DamagedCheckpoint, Manifest, sha256_of, verify_files
from trainer.checkpoint.recovery import published
from trainer.forward import score
from trainer.replay import Replay
from trainer.rows import Row
from trainer.seed_model import make_tokenizer

__all__ = [
    "Checkpoints",
    "DamagedCheckpoint",
    "EngineUnusable",
    "Manifest",
    "Replay",
    "Request",
    "Row",
    "Snapshot",
    "Staged",
    "SwapRefused",
    "batch_of",
    "learner_of",
    "load_model",
    "make_tokenizer",
    "published",
    "score",
    "seed_model",
    "served",
    "update_of",
    "verify_files",
]


def seed_model(recipe: Recipe, folder: Path) -> Any:
    """The model that is version 0 of a run; `folder` gets its files."""
    return make_seed(recipe, parts_of(recipe, folder), folder, lambda *_: None).learner.model


def learner_of(recipe: Recipe, folder: Path) -> Any:
    """What learns in a run whose model lies in `folder`."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    return make_learner(recipe, parts_of(recipe, folder), model)


def update_of(recipe: Recipe, folder: Path) -> Any:
    """How a run in `folder` learns: the rows of each step, and their loss."""
    return recipe.loss.build(parts_of(recipe, folder))


def batch_of(judgments: Sequence[Judgment]) -> Batch:
    return Batch(judgments=tuple(judgments), trained=(), dropped=(), num_tasks=len(judgments))


async def served(folder: Path, executor: ThreadPoolExecutor, max_rows: int) -> LocalEngine:
    """An engine that serves the model in `folder`. Raises `SwapRefused`, `EngineUnusable`."""
    engine = LocalEngine(executor, max_rows=max_rows)
    await engine.swap(0, folder, _digests(folder))
    return engine


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file()}
