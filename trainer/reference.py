"""The published weights of another version, for updates that compare with it. They stand in for the
learner's own in a forward pass: no second model is made, and their file is mapped into memory.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bus.events import Weights
from bus.log import Log
from bus.versions import Versions
from trainer.batch import Batch
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.checkpoint.manifest import DamagedCheckpoint
from trainer.learner import Learner
from trainer.updates.update import Reference


class References:
    """Finds the weights by name; those of version 0 are looked up once."""

    def __init__(self, log: Log, checkpoints: Checkpoints) -> None:
        self._versions = Versions(log)
        self._checkpoints = checkpoints
        self._first: Mapping[str, Tensor] | None = None

    def weights(self, name: Reference | None, parent: Weights) -> Mapping[str, Tensor] | None:
        """For a version that is made from `parent`; None if none is wanted. Raises
        `DamagedCheckpoint`. Reads the log."""
        if name is None:
            return None
        if name == "previous":
            return self._checkpoints.weights(parent)
        if self._first is None:
            first = self._versions.numbered(0)
            if first is None:
                raise DamagedCheckpoint(f"version 0 of {Path(parent.location).parent} is not there")
            self._first = self._checkpoints.weights(first)
        return self._first

    def learn(
        self, learner: Learner, batch: Batch, version: int, parent: Weights
    ) -> dict[str, float]:
        """Version `version` of a learner that holds `parent`, with the weights that it compares
        with or starts from again; the metrics of the batch. Raises `DamagedCheckpoint`."""
        reference = self.weights(learner.update.reference, parent)
        base = self.weights("first" if learner.restarts(version) else None, parent)
        return learner.learn(batch, version, reference, base)
