"""What Grafana shows of a run: four dashboards of panels, each an expression over registered
metrics. `RUN` picks the run, `RATE` is Grafana's own window.
"""

from dataclasses import dataclass

from observability.metrics.registry import METRICS

RUN, RATE = '{run=~"$run"}', "[$__rate_interval]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart: expressions by their legend, the unit as Grafana calls it, what to see in it."""

    title: str
    says: str
    shows: dict[str, str]
    unit: str = "short"


def named(name: str, part: str = "") -> str:
    """What Prometheus calls a metric; raises `KeyError` for one that is not registered."""
    metric = METRICS[name]
    return next(one for one in metric.series if one.endswith(part))


def _now(name: str, by: str = "run") -> str:
    return f"max by ({by}) ({named(name)}{RUN})"


def _rate(name: str, by: str = "run", only: str = "") -> str:
    picked = RUN.replace("}", f", {only}}}") if only else RUN
    return f"max by ({by}) (rate({named(name)}{picked}{RATE}))"


def _quantile(share: float, name: str, by: str = "run") -> str:
    buckets = f"max by ({by}, le) (rate({named(name, '_bucket')}{RUN}{RATE}))"
    return f"histogram_quantile({share}, {buckets})"


_HELD_OUT = '{run=~"$run", split="held_out"}'
_ACCURACY = named("evolvent.evaluation.accuracy.ratio")

OVERVIEW = (
    Panel(
        title="Accuracy on held-out tasks",
        says="Of the newest evaluated version, with its 95 % interval. It should rise.",
        shows={
            "{{run}} {{bound}}": f"max by (run, bound) ({_ACCURACY}{_HELD_OUT})",
        },
        unit="percentunit",
    ),
    Panel(
        title="Versions",
        says="Trained, evaluated and served: what is served far behind is an engine that hangs.",
        shows={
            "{{run}} {{state}}": _now("evolvent.weights.version", "run, state"),
            "{{run}} served {{policy}}": _now("evolvent.version.served", "run, policy"),
        },
    ),
    Panel(
        title="Reward",
        says="Mean of the newest version's batch.",
        shows={"{{run}}": _now("evolvent.reward")},
    ),
    Panel(
        title="Events a second",
        says="Tasks asked, attempts made, judgments given: the slowest is the bottleneck.",
        shows={
            "{{run}} tasks": _rate("evolvent.tasks", only='outcome="admitted"'),
            "{{run}} attempts": _rate("evolvent.attempts", only='outcome="made"'),
            "{{run}} judgments": _rate("evolvent.judgments", only='outcome="made"'),
        },
    ),
    Panel(
        title="Tokens learned from a second",
        says="Sampled tokens of the batches.",
        shows={"{{run}}": _rate("evolvent.tokens")},
    ),
    Panel(
        title="Disk",
        says="What the run takes, by part, and what is free.",
        shows={
            "{{run}} {{part}}": _now("evolvent.disk.used", "run, part"),
            "{{run}} free": _now("evolvent.disk.free"),
            "{{run}} size": _now("evolvent.disk.size"),
        },
        unit="bytes",
    ),
)
AGENTS = (
    Panel(
        title="Processes that run",
        says="1 while a process runs, 0 between two lives.",
        shows={"{{run}} {{agent}}": _now("evolvent.process.up", "run, agent")},
    ),
    Panel(
        title="Restarts",
        says="Starts after the first: any is worth a look into RUN/logs.",
        shows={"{{run}} {{agent}}": _now("evolvent.restarts", "run, agent")},
    ),
    Panel(
        title="Swap pause",
        says="How long generation stood still for new weights: median and 99 %.",
        shows={
            "{{run}} {{policy}} p50": _quantile(0.5, "evolvent.swap.pause", "run, policy"),
            "{{run}} {{policy}} p99": _quantile(0.99, "evolvent.swap.pause", "run, policy"),
        },
        unit="s",
    ),
    Panel(
        title="Samples in flight at servers",
        says="Asked for and not answered, of every `evolvent serve`.",
        shows={"{{instance}}": f"max by (instance) ({named('evolvent.samples.in_flight')})"},
    ),
    Panel(
        title="Versions that servers took and refused",
        says="A refusal is a checkpoint that did not pass its check.",
        shows={
            "{{instance}} taken": f"max by (instance) ({named('evolvent.swaps')})",
            "{{instance}} refused": f"max by (instance) ({named('evolvent.swaps.refused')})",
        },
    ),
)
PLANE = (
    Panel(
        title="Records that wait",
        says="Per group and topic. What only grows has too few members.",
        shows={"{{run}} {{group}} {{topic}}": _now("evolvent.consumer.lag", "run, group, topic")},
    ),
    Panel(
        title="Age of the oldest that waits",
        says="The lag in seconds.",
        shows={
            "{{run}} {{group}} {{topic}}": _now("evolvent.consumer.lag.time", "run, group, topic")
        },
        unit="s",
    ),
    Panel(
        title="Dead letters",
        says="Records that no role could use: `evolvent dead RUN` says why.",
        shows={"{{run}} {{topic}}": _now("evolvent.dead_letters", "run, topic")},
    ),
    Panel(
        title="What came to nothing",
        says="Proposals refused, tasks never attempted, attempts never judged, a second.",
        shows={
            "{{run}} refused": _rate("evolvent.tasks", only='outcome="refused"'),
            "{{run}} not attempted": _rate("evolvent.attempts", only='outcome="dead"'),
            "{{run}} not judged": _rate("evolvent.judgments", only='outcome="dead"'),
        },
    ),
    Panel(
        title="Whether the log answers, and can be read",
        says="1 while it answers; records that cannot be read.",
        shows={
            "{{run}} answers": _now("evolvent.log.up"),
            "{{run}} unreadable": _now("evolvent.events.schema.errors"),
        },
    ),
)
TRAINING = (
    Panel(
        title="Where a version's time goes",
        says="Median of waiting for the batch, learning, making it durable.",
        shows={
            "{{run}} wait": _quantile(0.5, "evolvent.train.wait.duration"),
            "{{run}} learn": _quantile(0.5, "evolvent.train.step.duration"),
            "{{run}} checkpoint": _quantile(0.5, "evolvent.train.checkpoint.duration"),
        },
        unit="s",
    ),
    Panel(
        title="Versions a second",
        says="How fast it evolves.",
        shows={"{{run}}": _rate("evolvent.versions")},
    ),
    Panel(
        title="Loss and gradient",
        says="Of the newest version.",
        shows={
            "{{run}} loss": _now("evolvent.train.loss"),
            "{{run}} gradient": _now("evolvent.train.grad_norm"),
        },
    ),
    Panel(
        title="Entropy and divergences, in nats",
        says="Entropy that falls to nothing is collapse; a mismatch that grows comes before one.",
        shows={
            "{{run}} entropy": _now("evolvent.train.entropy"),
            "{{run}} to the reference": _now("evolvent.train.kl"),
            "{{run}} to what sampled": _now("evolvent.train.mismatch_kl"),
        },
    ),
    Panel(
        title="Staleness, in versions",
        says="Of the newest batch: mean and the oldest.",
        shows={"{{run}} {{stat}}": _now("evolvent.weights.staleness", "run, stat")},
    ),
    Panel(
        title="What is not learned from",
        says="Events a second, by why.",
        shows={"{{run}} {{reason}}": _rate("evolvent.samples.dropped", "run, reason")},
    ),
    Panel(
        title="Groups that teach nothing",
        says="The share of groups whose rewards are all the same.",
        shows={"{{run}}": f"{_rate('evolvent.groups.zero_variance')} / {_rate('evolvent.groups')}"},
        unit="percentunit",
    ),
    Panel(
        title="Learnability and different tasks",
        says="Mean of p(1 - p), at most 0.25; the share of different prompts of a batch.",
        shows={
            "{{run}} learnability": _now("evolvent.task.learnability"),
            "{{run}} different": _now("evolvent.task.unique.ratio"),
        },
    ),
    Panel(
        title="Samples learned from a second",
        says="Right and wrong ones.",
        shows={"{{run}} {{outcome}}": _rate("evolvent.samples", "run, outcome")},
    ),
    Panel(
        title="Decisions",
        says="On versions, and what guards hold.",
        shows={
            "{{run}} {{decision}}": _now("evolvent.gate.decisions", "run, decision"),
            "{{run}} rolled back": _now("evolvent.rollbacks"),
            "{{run}} guard {{guard}}": _now("evolvent.guard.warned", "run, guard"),
            "{{run}} steps skipped": _now("evolvent.train.nonfinite"),
        },
    ),
)
DASHBOARDS = {
    "evolvent-overview": ("evolvent: overview", OVERVIEW),
    "evolvent-agents": ("evolvent: agents and serving", AGENTS),
    "evolvent-events": ("evolvent: events", PLANE),
    "evolvent-training": ("evolvent: training and decisions", TRAINING),
}
