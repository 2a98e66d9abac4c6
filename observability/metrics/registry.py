"""Every metric there is: name, kind, unit, labels, meaning. Docs, rules and dashboards follow from
it. Knows no run and no library.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

_UNITS = {"s": "seconds", "By": "bytes", "1": "ratio"}
"""As OpenTelemetry's translation to Prometheus has them; what stands in braces goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. `name` and `unit` are OpenTelemetry's; every one has the label `run` besides
    `labels`, but for those that are `local` to a process that knows no run."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    local: bool = False

    @property
    def prometheus(self) -> str:
        """What it is called at Prometheus, by `/metrics` and by OTLP alike."""
        name = self.name.replace(".", "_")
        unit = "" if self.unit.startswith("{") else _UNITS.get(self.unit, "")
        if unit and not name.endswith(f"_{unit}"):
            name = f"{name}_{unit}"
        return f"{name}_total" if self.kind == "counter" else name

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus keeps its values."""
        if self.kind != "histogram":
            return (self.prometheus,)
        return tuple(f"{self.prometheus}_{part}" for part in ("bucket", "count", "sum"))


def _counter(name: str, help: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name=name, kind="counter", help=help, labels=labels, unit=unit)


def _gauge(name: str, help: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name=name, kind="gauge", help=help, labels=labels, unit=unit)


def _seconds(name: str, help: str, *labels: str) -> Metric:
    return Metric(name=name, kind="histogram", help=help, labels=labels, unit="s")


LEARNING = (
    _gauge("evolvent.weights.version", "Newest version: trained, evaluated", "state"),
    _counter("evolvent.versions", "Versions that were published", unit="{version}"),
    _gauge(
        "evolvent.evaluation.accuracy.ratio",
        "Accuracy of the newest evaluated version: its mean, and the ends of its 95 % interval",
        "split",
        "bound",
        unit="1",
    ),
    _gauge("evolvent.reward", "Mean reward of the newest version's batch"),
    _counter("evolvent.samples", "Samples that were learned from", "outcome", unit="{sample}"),
    _counter(
        "evolvent.samples.dropped",
        "Events that a version consumed and did not learn from",
        "reason",
        unit="{event}",
    ),
    _counter("evolvent.tokens", "Sampled tokens that were learned from", unit="{token}"),
    _counter("evolvent.groups", "Judged groups that were learned from", unit="{group}"),
    _counter(
        "evolvent.groups.zero_variance", "Those whose rewards are all the same", unit="{group}"
    ),
    _gauge("evolvent.task.learnability", "Mean of p(1 - p) over the newest version's groups"),
    _gauge(
        "evolvent.task.unique.ratio", "Different prompts of the newest version's batch", unit="1"
    ),
    _gauge(
        "evolvent.weights.staleness",
        "Staleness of the newest version's batch in versions: mean, max",
        "stat",
    ),
)
"""What versions say."""

TRAINING = (
    _seconds("evolvent.train.step.duration", "Learning one version"),
    _seconds("evolvent.train.wait.duration", "Waiting for the batch of one version"),
    _seconds("evolvent.train.checkpoint.duration", "Making one version durable"),
    _gauge("evolvent.train.loss", "Loss of the newest version"),
    _gauge("evolvent.train.grad_norm", "Norm of its gradient"),
    _gauge("evolvent.train.entropy", "Mean of -log p over its sampled tokens, in nats"),
    _gauge("evolvent.train.kl", "Its divergence from the reference, in nats"),
    _gauge("evolvent.train.mismatch_kl", "Divergence of the learner from what sampled, in nats"),
    _counter("evolvent.train.nonfinite", "Steps that were skipped: loss or gradient not finite"),
    _counter("evolvent.gate.decisions", "Decisions on versions", "decision", unit="{decision}"),
    _counter("evolvent.rollbacks", "Versions that were rolled back", unit="{version}"),
    _gauge("evolvent.guard.warned", "1 while a guard holds or has ended learning", "guard"),
)
"""How they are made, and what is decided of them."""

EVENTS = (
    _counter("evolvent.tasks", "Proposals: admitted, refused", "outcome", unit="{task}"),
    _counter("evolvent.attempts", "Attempts: made, dead", "outcome", unit="{attempt}"),
    _counter("evolvent.judgments", "Judgments: made, dead", "outcome", unit="{judgment}"),
    _gauge("evolvent.consumer.lag", "Records that wait", "group", "topic", unit="{record}"),
    _gauge(
        "evolvent.consumer.lag.time", "Age of the oldest that waits", "group", "topic", unit="s"
    ),
    _counter("evolvent.dead_letters", "Records that no role could use", "topic", unit="{record}"),
    _counter("evolvent.events.schema.errors", "Records that cannot be read", unit="{record}"),
    _gauge("evolvent.log.up", "1 while the log answers"),
)
"""What the log says of itself."""

PROCESSES = (
    _gauge("evolvent.process.up", "1 while the process runs", "agent"),
    _counter("evolvent.restarts", "Starts after the first", "agent", unit="{start}"),
    _gauge("evolvent.disk.used", "What the run takes", "part", unit="By"),
    _gauge("evolvent.disk.free", "What is free on its disk", unit="By"),
    _gauge("evolvent.disk.size", "How large its disk is", unit="By"),
    _seconds("evolvent.swap.pause", "How long generation stood still for a version", "policy"),
    _gauge("evolvent.version.served", "Version that is served; -1 before the first", "policy"),
)
"""What processes say of themselves."""

SERVERS = (
    Metric(
        name="evolvent.samples.in_flight",
        kind="gauge",
        help="Samples asked for and not answered",
        unit="{sample}",
        local=True,
    ),
    Metric(
        name="evolvent.swaps",
        kind="counter",
        help="Versions that were loaded",
        unit="{version}",
        local=True,
    ),
    Metric(
        name="evolvent.swaps.refused",
        kind="counter",
        help="Versions that were not taken",
        unit="{version}",
        local=True,
    ),
)
"""What `evolvent serve` shows beside `evolvent.version.served`."""

SECTIONS = {
    "Learning": LEARNING,
    "Training": TRAINING,
    "Events": EVENTS,
    "Processes": PROCESSES,
    "Servers": SERVERS,
}
METRICS: Final = {metric.name: metric for section in SECTIONS.values() for metric in section}
