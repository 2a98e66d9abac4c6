"""A version as a plain model folder: its files, an adapter merged into them, and a card that says
where it comes from. Knows no log."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from agents.engines.checkpoint.verified import read_verified
from bus.events import Evaluation, Weights
from observability.export.folder import aside
from observability.lineage.lineage import Lineage
from trainer.checkpoint.manifest import verify_files

_PROBE = "probe.json"
_MODEL = "model.safetensors"
_ADAPTER = "adapter/"
_MOST_STEPS = 12

_CARD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [evolvent]
---

# Version {version} of {run}

Version {version} of the run `{run}` (recipe `{recipe}`), published {at} as the event `{id}`,
exported by `evolvent export`.{merged}

## Where it comes from

{versions:,} versions stand behind it, down to version 0, and with them {judgments:,} judged groups,
of which {trained:,} were learned from and {dropped:,} dropped; {correct:,} of {samples:,} samples
were right. Its own batch:

| family | level | tasks | samples | right |
|---|---|---|---|---|
{levels}

Its path, the newest first: {path}. `evolvent lineage RUN {version} --whole` names every judgment,
attempt and task behind it.

## Held-out accuracy

{scores}

## Files

| file | sha256 as published |
|---|---|
{files}
"""


def write_version(
    out: Path,
    run: Path,
    weights: Weights,
    found: Lineage,
    evaluation: Evaluation | None,
    recipe: str,
) -> None:
    """Write a version of the run in a folder to the new folder `out`. Raises `DamagedCheckpoint`,
    and for an adapter `SwapRefused`."""
    source = run / weights.location
    names = [name for name in weights.files if name != _PROBE]
    has_adapter = any(name.startswith(_ADAPTER) for name in names)
    with aside(out) as folder:
        for name in names:
            if not name.startswith(_ADAPTER):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, folder / name)
        copied = {name: weights.files[name] for name in names if not name.startswith(_ADAPTER)}
        verify_files(folder, copied)
        if has_adapter:
            _merge(source, weights.files, folder / _MODEL)
        card = _card(weights, found, evaluation, recipe, has_adapter)
        (folder / "README.md").write_text(card, encoding="utf-8")


def _merge(source: Path, files: dict[str, str], target: Path) -> None:
    from safetensors.torch import save_file

    from agents.engines.checkpoint.adapter import ADAPTER, merged
    from agents.engines.checkpoint.fitting import read_tensors

    contents = read_verified(source, files, (_MODEL, *ADAPTER))
    tensors = merged(read_tensors(_MODEL, contents[_MODEL]), contents)
    save_file(tensors, target, metadata={"format": "pt"})


def _card(
    weights: Weights, found: Lineage, evaluation: Evaluation | None, recipe: str, merged: bool
) -> str:
    behind = found.behind
    levels = (
        f"| {one.family} | {one.level} | {one.tasks} | {one.samples} | {one.correct} |"
        for one in weights.batch
    )
    path = [f"{step.version} (`{step.id}`)" for step in found.path[:_MOST_STEPS]]
    left = len(found.path) - len(path)
    files = (
        f"| `{name}` | `{digest}` |"
        for name, digest in sorted(weights.files.items())
        if name != _PROBE
    )
    return _CARD.format(
        version=weights.number,
        run=weights.run,
        recipe=recipe,
        at=f"{weights.created_at:%Y-%m-%d %H:%M:%S} UTC",
        id=weights.id,
        merged=" Its adapter is merged into the weights." if merged else "",
        versions=behind.versions,
        judgments=behind.judgments,
        trained=behind.trained,
        dropped=behind.dropped,
        correct=behind.correct,
        samples=behind.samples,
        levels="\n".join(levels),
        path=", ".join(path) + (f" and {left:,} more" if left else ""),
        scores=_scores(evaluation),
        files="\n".join(files),
    )


def _scores(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "This version was not evaluated."
    rows: Sequence[str] = [
        f"| {one.suite} | {one.level} | {one.correct} of {one.total} | {one.accuracy:.1%} | "
        f"{one.low:.1%} to {one.high:.1%} |"
        for one in evaluation.scores
    ]
    head = "| suite | level | right | accuracy | 95 % |\n|---|---|---|---|---|\n"
    said = f"Greedy answers to held-out tasks: {evaluation.held_out:.1%} above the warm-up."
    return f"{said}\n\n{head}" + "\n".join(rows)
