"""How a learner's weights become the next version, and its event. Knows no bus."""

import time
from dataclasses import dataclass
from pathlib import Path

from bus.events import CURRENT, Weights, derive_id
from bus.faults import fault_point
from trainer.batch import Batch
from trainer.checkpoint.checkpoint import Checkpoints, Snapshot
from trainer.checkpoint.manifest import Manifest
from trainer.checkpoint.probe import make_probe
from trainer.learner import Learner

AGENT = "trainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who makes versions: the run, the recipe it started with, its seed, where its versions lie."""

    run: str
    recipe_digest: str
    seed: int
    checkpoints: Checkpoints

    def write(
        self,
        learner: Learner,
        parent: Manifest | None,
        batch: Batch,
        metrics: dict[str, float],
        shared_from: Path,
        *,
        epoch: int,
        policy: str = CURRENT,
    ) -> Manifest:
        """The version after `parent`, which consumes `batch`; from here on it exists and will be
        published."""
        started = time.monotonic()
        number = 0 if parent is None else parent.version + 1
        parent_id = None if parent is None else parent.weights.id
        fault_point("trainer.before_stage")
        published = learner.published()
        snapshot = Snapshot(
            model={name: tensor.cpu() for name, tensor in published.items()},
            state=learner.state(),
            shared_from=shared_from,
            probe=make_probe(learner.model, published),
            format=learner.format,
        )
        staged = self.checkpoints.stage(snapshot, number, epoch)
        fault_point("trainer.staged")
        metrics = {**metrics, "seconds_checkpoint": time.monotonic() - started}
        weights = Weights(
            id=derive_id(self.run, AGENT, parent_id or "seed model", epoch),
            run=self.run,
            agent=AGENT,
            number=number,
            parent=None if parent is None else parent.version,
            parent_id=parent_id,
            location=self.checkpoints.location(number, epoch),
            files=staged.files,
            format=learner.format,
            step=learner.num_steps,
            epoch=epoch,
            positions=batch.positions(),
            trained=len(batch.trained),
            dropped=len(batch.dropped),
            consumed=(0 if parent is None else parent.weights.consumed) + batch.num_tasks,
            batch=batch.levels(),
            metrics=metrics,
            seed=self.seed,
            policy=policy,
        )
        manifest = Manifest(
            recipe=self.recipe_digest,
            trained=batch.trained,
            dropped=batch.dropped,
            files=staged.files,
            state=staged.state,
            weights=weights,
        )
        staged.commit(manifest)
        fault_point("trainer.renamed")
        return manifest
