"""Exactly-once learning: a batch in, a durable checkpoint, then one commit that publishes it.

    take judgments -> batch -> learn -> checkpoint aside, synced, renamed
                                            -> one commit: Weights published, judgments done

A crash before the rename repeats the batch; a crash after it publishes what the manifest says,
without training again. The newest trainer fences every older one. Knows no agent.

A version is published durably, and with it all that came before on the log: what others build on it
is never taken back. A power cut may take the judgments that an unpublished checkpoint was made of:
such a checkpoint is set aside, and the log alone says where learning goes on (see `recovery`).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from opentelemetry.trace import SpanContext

from bus.bus import Bus, Subscription
from bus.control import Switch
from bus.events import CURRENT
from bus.faults import fault_point
from bus.hands import Hands, hand_of
from bus.meter import seconds
from bus.topics import completed_by
from bus.versions import Versions
from trainer.batch import GROUP, Batch, BatchConfig, Gathering, arrival
from trainer.checkpoint.checkpoint import Checkpoints
from trainer.checkpoint.manifest import Consumed, Manifest, is_thinned
from trainer.checkpoint.recovery import Agreed, agreed, newest_whole, published, set_aside
from trainer.checkpoint.spans import learned, publishing, stepping
from trainer.checkpoint.version import Author
from trainer.learner import Learner
from trainer.needs import Needs
from trainer.phases import Phases
from trainer.reference import References

TOPICS = completed_by(GROUP)

_LOOK_SECONDS = 0.5
"""A trainer that waits notices within this time that it has been paused, or is to stop."""

_DURATIONS = {
    "seconds_train": seconds("evolvent.train.step.duration"),
    "seconds_wait": seconds("evolvent.train.wait.duration"),
    "seconds_checkpoint": seconds("evolvent.train.checkpoint.duration"),
}

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """A seed model: the learner that holds it, and the folder with its configuration."""

    learner: Learner
    folder: Path
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far one policy is: the version that moved it last, and the learner that holds it."""

    manifest: Manifest
    learner: Learner


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Who is learning: the run, the recipe it started with, its seed, where its versions lie,
    which of them somebody needs and which policy each moves."""

    run: str
    recipe_digest: str
    seed: int
    checkpoints: Checkpoints
    needs: Needs
    phases: Phases = field(default_factory=Phases)


class Trainer:
    """One trainer of a run, of all its policies. `make_seed` makes version 0, `make_learner` an
    empty learner for the checkpoint folder and the policy it is given; both run in `executor`, the
    compute thread of this process, as learning does. While `switch` is not open nothing new is
    taken."""

    def __init__(
        self,
        *,
        bus: Bus,
        subscription: Subscription,
        lineage: Lineage,
        batch: BatchConfig,
        make_seed: Callable[[], Seeded],
        make_learner: Callable[[Path, str], Learner],
        executor: ThreadPoolExecutor,
        switch: Switch | None = None,
        hands: Hands | None = None,
    ) -> None:
        self._phases = lineage.phases
        self._states: dict[str, State] = {}
        self._subscription = subscription
        self._lineage = lineage
        self._checkpoints = lineage.checkpoints
        self._author = Author(
            run=lineage.run,
            recipe_digest=lineage.recipe_digest,
            seed=lineage.seed,
            checkpoints=lineage.checkpoints,
        )
        self._batch = batch
        self._make_seed = make_seed
        self._make_learner = make_learner
        self._executor = executor
        self._switch = switch or Switch()
        self._log = bus.log
        self._hands = hands or Hands()
        self._versions = Versions(bus.log)
        self._references = References(bus.log, lineage.checkpoints)

    async def run(self, stop: asyncio.Event) -> None:
        """Learn until `stop`. Raises `Fenced`, `BusError`, `DamagedCheckpoint`."""
        # Taking ownership first fences an older trainer before its checkpoints are read.
        limit = self._batch.size if self._switch.is_open else 0
        taken = await self._subscription.take(limit, timeout_seconds=0.0)
        parent = await self._recover()
        since = self._phases.since(parent.version, self._batch.remembered)
        recent = self._checkpoints.recent(parent, since)
        known = {consumed.id for manifest in recent for consumed in manifest.consumed}
        trained = {
            consumed.id: manifest.version
            for manifest in reversed(recent)
            for consumed in manifest.trained
        }
        gathering = Gathering(self._batch, trained, self._hands, self._phases.age)
        arrivals = [arrival(delivery) for delivery in taken]
        just_done = {consumed.position for consumed in parent.consumed}
        arrivals = [
            arrived
            for arrived in arrivals
            if not (arrived.consumed.id in known and arrived.consumed.position in just_done)
        ]
        gathering.add(arrivals, time.monotonic())
        while not stop.is_set():
            started = time.monotonic()
            batch = await self._gather(gathering, parent.version, stop)
            if batch is None:
                break
            waited = time.monotonic() - started
            parent = await self._advance(parent, batch, waited)

    async def _recover(self) -> Manifest:
        """The version to go on from, published; the learners hold what every policy has there."""
        found = await self._compute(self._agree)
        if (newest := found.pending or found.head) is None:
            newest = await self._seed()
        elif found.pending is None and self._is_thinned(newest):
            return await self._stand_in(newest)
        for policy in self._phases.policies:
            if policy not in self._states:
                self._states[policy] = await self._compute(self._state_at, newest, policy)
        if found.pending is not None:
            await self._publish(found.pending)
        return newest

    def _state_at(self, newest: Manifest, policy: str) -> State:
        """What a policy goes on from: the version that moved it last. Reads the log."""
        weights = self._versions.moved(newest.weights, policy)
        known = weights.id == newest.weights.id
        manifest = newest if known else published(self._checkpoints.run, weights)
        return State(manifest=manifest, learner=self._load(manifest, policy))

    def _agree(self) -> Agreed:
        run = self._checkpoints.run
        found = agreed(run, self._log, below_epoch=self._subscription.epoch)
        if found.beyond:
            _log.warning("%s", found.sentence)
            set_aside(run, found)
        return found

    def _load(self, manifest: Manifest, policy: str) -> Learner:
        snapshot = self._checkpoints.load(manifest)
        learner = self._make_learner(snapshot.shared_from, policy)
        if not snapshot.state:
            _log.warning(
                "version %d has lost what training resumes from: going on from its weights with a "
                "fresh optimiser",
                manifest.version,
            )
        learner.restore(snapshot.model, snapshot.state, manifest.weights.step)
        return learner

    def _is_thinned(self, head: Manifest) -> bool:
        """Whether there is only one policy, and the log ends where its weights are gone."""
        alone = len(self._phases.policies) == 1
        return alone and is_thinned(self._checkpoints.root / head.folder_name)

    async def _stand_in(self, head: Manifest) -> Manifest:
        """The log ends at a version whose weights were thinned out, since newer ones were there:
        the next one has those of an older version that is whole, and learns nothing."""
        lineage = self._versions.lineage(head.weights)
        whole = await self._compute(newest_whole, self._checkpoints.run, lineage)
        _log.warning(
            "the weights of version %d were thinned out: version %d is that of version %d again",
            head.version, head.version + 1, whole.version,
        )  # fmt: skip
        learner = await self._compute(self._load, whole, CURRENT)
        # No step is taken back on the log.
        learner.num_steps = head.weights.step
        self._states[CURRENT] = State(manifest=whole, learner=learner)
        metrics = {"weights_of_version": float(whole.version)}
        manifest = await self._next(CURRENT, head, Batch.empty(), metrics)
        await self._publish(manifest)
        return manifest

    async def _seed(self) -> Manifest:
        seeded = await self._compute(self._make_seed)
        manifest = await self._compute(
            self._author.write,
            seeded.learner,
            None,
            Batch.empty(),
            seeded.metrics,
            seeded.folder,
            epoch=self._subscription.epoch,
        )
        await self._publish(manifest)
        self._states[CURRENT] = State(manifest=manifest, learner=seeded.learner)
        return manifest

    async def _gather(self, gathering: Gathering, parent: int, stop: asyncio.Event) -> Batch | None:
        """The next batch; None when stopped."""
        while not stop.is_set():
            now = time.monotonic()
            batch = gathering.take(parent, now)
            if batch is not None:
                return batch
            timeout = min(_LOOK_SECONDS, gathering.wait_seconds(now))
            if not self._switch.is_open:
                await asyncio.sleep(timeout)
                continue
            deliveries = await self._subscription.take(self._batch.size, timeout)
            gathering.add([arrival(delivery) for delivery in deliveries], time.monotonic())
        return None

    async def _advance(self, parent: Manifest, batch: Batch, waited: float) -> Manifest:
        """Parent version and batch in, the next version out, durable and published."""
        started = time.monotonic()
        policy = self._phases.policy(parent.version + 1)
        with stepping(parent.version, policy, batch.judgments) as step:
            manifest = await self._step(parent, policy, batch, waited, started)
            metrics = manifest.weights.metrics
            learned(step, len(batch.trained), len(batch.dropped), metrics)
            for name, duration in _DURATIONS.items():
                duration.record(metrics[name], {"run": self._lineage.run})
        await self._publish(manifest, step.get_span_context())
        _log.info(
            "version %d: learned from %d judgments in %.2f s after %.2f s of waiting, %d dropped",
            *(manifest.version, len(batch.trained), metrics["seconds_train"], waited),
            len(batch.dropped),
        )
        await self._compute(self._prune)
        return manifest

    async def _step(
        self, parent: Manifest, policy: str, batch: Batch, waited: float, started: float
    ) -> Manifest:
        """The next version, durable."""
        in_hand = _in_hand(batch.trained)
        await self._hands.hold(in_hand)
        with self._hands.together_at(in_hand):
            metrics = await self._compute(self._learn, parent.version + 1, policy, batch)
        metrics |= {"seconds_wait": waited, "seconds_train": time.monotonic() - started}
        metrics |= batch.rollout_metrics(parent.version, self._phases.age)
        try:
            return await self._next(policy, parent, batch, metrics)
        except FileNotFoundError:
            # A successor clears away what a fenced trainer had staged.
            await self._subscription.complete([], [])
            raise

    async def _next(
        self, policy: str, parent: Manifest, batch: Batch, metrics: dict[str, float]
    ) -> Manifest:
        """The version after `parent`, durable, which moves `policy` to what its learner holds."""
        learner, before = self._states[policy].learner, self._states[policy].manifest
        folder = self._checkpoints.root / before.folder_name
        epoch = self._subscription.epoch
        manifest = await self._compute(
            self._author.write,
            learner,
            parent,
            batch,
            metrics,
            folder,
            epoch=epoch,
            policy=policy,
        )
        self._states[policy] = State(manifest=manifest, learner=learner)
        return manifest

    def _learn(self, version: int, policy: str, batch: Batch) -> dict[str, float]:
        state, said = self._states[policy], self._phases.learned(batch, policy)
        return self._references.learn(state.learner, said, version, state.manifest.weights)

    def _prune(self) -> None:
        self._checkpoints.prune(self._lineage.needs.now())

    async def _compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(work, *args, **kwargs))

    async def _publish(self, manifest: Manifest, step: SpanContext | None = None) -> None:
        """One commit: the version is on the log and everything it consumed is done."""
        done = [consumed.position for consumed in manifest.consumed]
        with publishing(manifest.weights, step):
            await self._subscription.complete(done, [manifest.weights])
        self._hands.release(_in_hand(manifest.consumed))
        fault_point("trainer.published")


def _in_hand(consumed: Iterable[Consumed]) -> list[str]:
    return [hand_of(GROUP, one) for one in consumed]
