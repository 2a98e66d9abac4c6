"""Where training again begins: at a version of the run, with what training resumes from, or at a
new version 0. Written into a folder of its own; the run is only read. Loads torch.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoTokenizer

from agents.engines.checkpoint.kind import longest
from bus.events import CURRENT, Judgment, Weights, derive_id
from bus.log import Log
from bus.versions import Versions
from evolvent.ask.ask import find_whole
from evolvent.errors import UsageError
from evolvent.learning import learner_from, make_seed, remember
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.workplace import Workplace
from observability.audit.scan import Show
from trainer.batch import Batch
from trainer.checkpoint.checkpoint import Checkpoints, link_or_copy
from trainer.checkpoint.manifest import MANIFEST, Manifest, checkpoint_folders, read_manifest
from trainer.checkpoint.version import AGENT, Author
from trainer.learner import Learner

TOKENIZER = "tokenizer.json"


@dataclass(slots=True, kw_only=True)
class State:
    """What a policy has: the learner that holds it, and the version that moved it last."""

    learner: Learner
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """`head` is the version to go on from, `chain` it and its forebears, oldest first; `resumed`
    says whether the optimiser and the memory of every policy were still there."""

    head: Manifest
    chain: Sequence[Weights]
    states: dict[str, State]
    resumed: bool


def from_version(
    folder: RunFolder,
    log: Log,
    chain: Sequence[Weights],
    place: Workplace,
    checkpoints: Checkpoints,
    policies: Sequence[str],
) -> Beginning:
    """Go on from the last version of `chain`, whose folders are linked. Raises `UsageError` where
    weights are gone, `DamagedCheckpoint`."""
    head, versions = chain[-1], Versions(log)
    moved = {policy: versions.moved(head, policy) for policy in policies}
    for weights in moved.values():
        find_whole(folder, log, weights.number)
    for weights in chain:
        _link(folder.path / weights.location, place.path / weights.location)
    if head.number == 0:
        chain = [_adopted(head, place)]
        moved = dict.fromkeys(policies, chain[0])
    states, resumed = {}, True
    for policy, weights in moved.items():
        manifest = read_manifest(place.path / weights.location)
        snapshot = checkpoints.load(manifest)
        learner = learner_from(place.recipe, place.parts, snapshot.shared_from, policy)
        learner.restore(snapshot.model, snapshot.state, weights.step)
        if not snapshot.state and weights.number == 0:
            # All that version 0 had besides its weights follows from the recipe.
            remember(learner, place.recipe, place.parts, snapshot.shared_from)
        resumed &= bool(snapshot.state) or weights.number == 0
        states[policy] = State(learner=learner, manifest=manifest)
    manifest = read_manifest(place.path / head.location)
    return Beginning(head=manifest, chain=chain, states=states, resumed=resumed)


def _adopted(first: Weights, place: Workplace) -> Weights:
    """Version 0 as one of the run that begins with it; its manifest is linked no longer."""
    folder, run = place.path / first.location, place.parts.run
    weights = first.model_copy(update={"run": run, "id": derive_id(run, AGENT, first.id)})
    update = {"weights": weights, "recipe": place.recipe.digest}
    manifest = read_manifest(folder).model_copy(update=update)
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    return weights


def _link(source: Path, target: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file():
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(file, to)


def anew(run: Path, place: Workplace, author: Author, epoch: int, show: Show) -> Beginning:
    """A new version 0 by the place's recipe, which reads and writes as that of the `run` does.
    Raises `UsageError`."""
    folder = author.checkpoints.seed_folder
    seeded = make_seed(place.recipe, place.parts, folder, show)
    if _vocabulary(seeded.folder) != _vocabulary(_whole(run)):
        raise UsageError(
            "the new model reads by another tokenizer than the one that wrote the answers on the "
            "log: name a recipe whose model has that of the run"
        )
    manifest = author.write(
        seeded.learner, None, Batch.empty(), seeded.metrics, seeded.folder, epoch=epoch
    )
    shutil.rmtree(folder, ignore_errors=True)
    states = {CURRENT: State(learner=seeded.learner, manifest=manifest)}
    return Beginning(head=manifest, chain=[manifest.weights], states=states, resumed=True)


def _whole(run: Path) -> Path:
    found = next((one for one in checkpoint_folders(run) if (one / TOKENIZER).exists()), None)
    if found is None:
        raise UsageError(f"no version of {run} has its tokenizer any more")
    return found


def _vocabulary(folder: Path) -> dict[str, int]:
    found: dict[str, int] = AutoTokenizer.from_pretrained(folder).get_vocab()
    return found


def check_fits(learner: Learner, judgments: Sequence[Judgment]) -> None:
    """Raises `UsageError` for an answer that is longer than what the model reads."""
    reads = longest(learner.model.config.to_dict())
    turns = (turn for one in judgments for sample in one.attempt.samples for turn in sample.turns)
    most = max((len(turn.prompt_tokens) + len(turn.tokens) for turn in turns), default=0)
    if reads is not None and most > reads:
        raise UsageError(
            f"an answer on the log takes {most} tokens with its prompt, and the new model reads "
            f"{reads}: set model.max_positions"
        )


def author_of(place: Workplace, recipe: Recipe, checkpoints: Checkpoints) -> Author:
    return Author(
        run=place.parts.run,
        recipe_digest=recipe.digest,
        seed=recipe.seed,
        checkpoints=checkpoints,
    )
