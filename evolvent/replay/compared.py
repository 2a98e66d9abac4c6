"""Versions that were trained again beside those of the run, and how well both do. Loads torch."""

from pathlib import Path
from typing import Any

from bus.events import Evaluation
from trainer.checkpoint.checkpoint import Checkpoints, published_file
from trainer.checkpoint.manifest import Manifest, is_thinned
from trainer.learner import Learner


class Compared:
    """Of each version whether it has the same weights bit for bit, which its sha256 says, and else
    the largest difference, where the run still has the weights."""

    def __init__(self, run: Path) -> None:
        self._run = Checkpoints(run)
        self._rows: list[dict[str, Any]] = []

    def add(self, was: Manifest, now: Manifest, learner: Learner) -> bool:
        """Whether both have the same weights."""
        name = published_file(now.weights.format)
        same = was.files.get(name) == now.files[name]
        row = {
            "version": now.version,
            "same": same,
            "largest_difference": 0.0 if same else self._difference(was, learner),
            "was_loss": was.weights.metrics.get("loss"),
            "loss": now.weights.metrics.get("loss"),
        }
        self._rows.append(row)
        return same

    def _difference(self, was: Manifest, learner: Learner) -> float | None:
        if is_thinned(self._run.root / was.folder_name):
            return None
        before, after = self._run.weights(was.weights), learner.published()
        differences = [
            float((before[name] - tensor.cpu()).abs().max()) for name, tensor in after.items()
        ]
        return max(differences, default=0.0)

    def as_json(self) -> dict[str, Any]:
        same = sum(row["same"] for row in self._rows)
        return {"same": same, "differ": len(self._rows) - same, "versions": self._rows}


def curve_row(was: Evaluation, now: Evaluation) -> dict[str, Any]:
    """Held out and seen, of the run and of what was trained again."""
    return {
        "version": was.weights_version,
        "was": {"held_out": was.held_out, "seen": was.seen},
        "now": {"held_out": now.held_out, "seen": now.seen},
    }
