"""Who will read the tasks: the tokenizer of the run's model, and how much it reads. Loads no
torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.engines.checkpoint.kind import longest
from agents.engines.checkpoint.prompting import (
    PROMPTING,
    TOKENIZER,
    Prompting,
    read_prompting,
)
from agents.engines.config import VllmConfig
from agents.engines.engine import SwapRefused
from evolvent.errors import UsageError
from evolvent.given.own_model import check_model
from evolvent.given.tokenizer import prompting_of
from evolvent.preflight.sizes import Sizes
from evolvent.recipe.recipe import Recipe
from trainer.alphabet import build_tokenizer
from trainer.checkpoint.manifest import checkpoint_folders
from trainer.config import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """`context` is the longest prompt with its answer, None where it follows from the tasks; `mend`
    says what to do about a text that is too much."""

    prompting: Prompting
    context: int | None
    sizes: Sizes
    mend: str

    def missing(self, text: str) -> str | None:
        """What of `text` has no token: its characters, or the whole; None if it is read."""
        if self._reads(text):
            return None
        lost = [character for character in dict.fromkeys(text) if not self._reads(character)]
        return " ".join(map(repr, lost[:8])) or repr(text[:40])

    def comes_back(self, text: str) -> bool:
        tokenizer = self.prompting.tokenizer
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return self.prompting.decode(ids).strip() == text.strip()

    def _reads(self, text: str) -> bool:
        try:
            ids = self.prompting.tokenizer.encode(text, add_special_tokens=False).ids
        except Exception:  # the library raises nothing more specific
            return False
        return _unknown(self.prompting) not in ids and (ids != [] or text.strip() == "")


def reader_of(run: Path, recipe: Recipe) -> Reader | None:
    """Of the run's newest version, or of the model it will begin with; None where that is not on
    this machine. Raises `UsageError`."""
    written = list(checkpoint_folders(run))
    if written:
        return _in_folder(written[-1], recipe)
    if recipe.model.path is None:
        return fresh(recipe.model)
    if not recipe.model.path.exists():
        return None
    check_model(recipe.model.path)
    return _in_folder(recipe.model.path, recipe, recipe.model.system)


def fresh(model: ModelConfig) -> Reader:
    """Of a model that is made anew. Raises `UsageError`."""
    try:
        tokenizer = build_tokenizer(model.vocab)
    except ValueError as error:
        raise UsageError(f"model.{error}") from None
    return Reader(
        prompting=read_prompting({TOKENIZER: tokenizer.to_str()}),
        context=model.max_positions,
        sizes=Sizes.fresh(model),
        mend="raise model.max_positions or leave it out",
    )


def _in_folder(folder: Path, recipe: Recipe, system: str | None = None) -> Reader:
    files = {name: (folder / name).read_bytes() for name in PROMPTING if (folder / name).exists()}
    if TOKENIZER not in files:
        raise UsageError(f"the model in {folder} cannot be learned: it has no {TOKENIZER}")
    try:
        prompting = prompting_of(folder, files, system)
    except SwapRefused as refused:
        raise UsageError(f"the model in {folder} cannot be learned: {refused}") from None
    config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    limits = [] if (reads := longest(config)) is None else [reads]
    if isinstance(recipe.engine, VllmConfig) and recipe.engine.max_length is not None:
        limits.append(recipe.engine.max_length)
    return Reader(
        prompting=prompting,
        context=min(limits, default=None),
        sizes=Sizes.of_folder(folder),
        mend="choose a model that reads more",
    )


def _unknown(prompting: Prompting) -> int | None:
    """The id of what the tokenizer does not know, if it has one."""
    model = json.loads(prompting.texts[TOKENIZER]).get("model", {})
    if isinstance(number := model.get("unk_id"), int):
        return number
    named = model.get("unk_token")
    return prompting.tokenizer.token_to_id(named) if isinstance(named, str) else None
