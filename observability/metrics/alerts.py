"""What Prometheus warns of, each an expression over registered metrics. `page` wakes somebody,
`ticket` waits for the morning.
"""

from dataclasses import dataclass
from typing import Literal

from observability.metrics.panels import named


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule; `lasts` is how long it must hold."""

    name: str
    when: str
    says: str
    lasts: str = "0m"
    severity: Literal["page", "ticket", "none"] = "ticket"


def _new(name: str, window: str, by: str = "run", **only: str) -> str:
    """How much a counter grew."""
    return f"max by ({by}) (increase({named(name)}{_picked(only)}[{window}]))"


def _now(name: str, by: str = "run", **only: str) -> str:
    return f"max by ({by}) ({named(name)}{_picked(only)})"


def _picked(only: dict[str, str]) -> str:
    chosen = ", ".join(f'{label}="{value}"' for label, value in only.items())
    return f"{{{chosen}}}" if chosen else ""


def _mean(name: str, window: str) -> str:
    return f"max by (run) (avg_over_time({named(name)}[{window}]))"


_LAG, _AGE = "evolvent.consumer.lag", "evolvent.consumer.lag.time"
_PLACE = "run, group, topic"
_ACCURACY = named("evolvent.evaluation.accuracy.ratio")
_PAUSES = named("evolvent.swap.pause", "_bucket")

ALERTS = (
    Alert(
        name="NoProgress",
        when=f"{_new('evolvent.attempts', '15m', outcome='made')} == 0 and on (run) "
        f"{_now(_LAG, group='solver', topic='tasks')} > 0",
        says="No attempt for 15 minutes while tasks wait",
        lasts="1m",
        severity="page",
    ),
    Alert(
        name="TrainerStalled",
        when=f"{_new('evolvent.versions', '30m')} == 0 and on (run) "
        f"{_now(_LAG, group='trainer', topic='judgments')} > 0",
        says="No version for 30 minutes while judgments wait",
        lasts="1m",
        severity="page",
    ),
    Alert(
        name="LagGrowing",
        when=f"{_now(_AGE, _PLACE)} > 600 and max by ({_PLACE}) (deriv({named(_AGE)}[10m])) > 0",
        says="Records of {{ $labels.topic }} wait for {{ $labels.group }} longer and longer",
        lasts="10m",
        severity="page",
    ),
    Alert(
        name="LogDown",
        when=f"{_now('evolvent.log.up')} == 0",
        says="The log does not answer",
        lasts="2m",
        severity="page",
    ),
    Alert(
        name="DeadLetters",
        when=f"{_new('evolvent.dead_letters', '1h', 'run, topic')} > 0",
        says="Records of {{ $labels.topic }} could not be used: see `evolvent dead`",
    ),
    Alert(
        name="SchemaErrors",
        when=f"{_new('evolvent.events.schema.errors', '1h')} > 0",
        says="There are records that cannot be read",
        severity="page",
    ),
    Alert(
        name="RestartsAgainAndAgain",
        when=f"{_new('evolvent.restarts', '15m', 'run, agent')} > 3",
        says="{{ $labels.agent }} is started again and again: see the logs of the run",
        severity="page",
    ),
    Alert(
        name="SwapPauseHigh",
        when=f"histogram_quantile(0.99, max by (run, le) (rate({_PAUSES}[15m]))) > 5",
        says="Generation stands still for more than 5 seconds at a swap",
        lasts="10m",
        severity="page",
    ),
    Alert(
        name="SwapFailed",
        when=f"max by (instance) (increase({named('evolvent.swaps.refused')}[15m])) > 0",
        says="{{ $labels.instance }} refused a version",
        severity="page",
    ),
    Alert(
        name="StalenessHigh",
        when="max by (run) (quantile_over_time(0.95, "
        f'{named("evolvent.weights.staleness")}{{stat="max"}}[1h])) > 2',
        says="Batches are staler than the 2 versions that are the default limit",
    ),
    Alert(
        name="StaleDropRatio",
        when=f"{_new('evolvent.samples.dropped', '1h', reason='stale')} / on (run) "
        f"({_new('evolvent.groups', '1h')} + on (run) "
        f"{_new('evolvent.samples.dropped', '1h', reason='stale')}) > 0.2",
        says="More than a fifth of the judgments is too stale to be learned from",
    ),
    Alert(
        name="RewardCollapse",
        when=f"{_mean('evolvent.reward', '1h')} < 0.5 * {_mean('evolvent.reward', '1d')}",
        says="The reward of the last hour is less than half of the day's",
    ),
    Alert(
        name="EntropyCollapse",
        when=f"{_mean('evolvent.train.entropy', '15m')} < 0.02",
        says="Tokens are drawn with hardly any choice",
        lasts="15m",
    ),
    Alert(
        name="KLExplosion",
        when=f"{_mean('evolvent.train.kl', '15m')} > 10",
        says="The model is far from its reference",
    ),
    Alert(
        name="MismatchKLGrowing",
        when=f"{_mean('evolvent.train.mismatch_kl', '15m')} > 0.1",
        says="What learns and what samples have come to differ",
    ),
    Alert(
        name="NonFiniteLoss",
        when=f"{_new('evolvent.train.nonfinite', '1h')} > 0",
        says="Steps were skipped: a loss or a gradient was not finite",
        severity="page",
    ),
    Alert(
        name="ZeroVarianceGroups",
        when=f"{_new('evolvent.groups.zero_variance', '1h')} / on (run) "
        f"{_new('evolvent.groups', '1h')} > 0.6",
        says="Of most groups all samples have the same reward: nothing to learn by comparison",
        lasts="1h",
    ),
    Alert(
        name="UniqueTaskRatio",
        when=f"{_mean('evolvent.task.unique.ratio', '1h')} < 0.5",
        says="Less than half of the tasks of a batch differ",
    ),
    Alert(
        name="GateRejectStreak",
        when=f"{_new('evolvent.gate.decisions', '1h', decision='rejected')} >= 5 unless "
        f"on (run) {_new('evolvent.gate.decisions', '1h', decision='promoted')} > 0",
        says="Five versions were rejected and none promoted",
    ),
    Alert(
        name="RollbackOccurred",
        when=f"{_new('evolvent.rollbacks', '1h')} > 0",
        says="A version was rolled back",
        severity="page",
    ),
    Alert(
        name="GuardIntervened",
        when=f"{_now('evolvent.guard.warned', 'run, guard')} > 0",
        says="The guard {{ $labels.guard }} holds or has ended learning: see `evolvent status`",
    ),
    Alert(
        name="EvalRegressionOnHeldOut",
        when=f'max by (run) ({_ACCURACY}{{split="held_out", bound="high"}}) < '
        f'max by (run) (max_over_time({_ACCURACY}{{split="held_out", bound="low"}}[1d]))',
        says="Held-out accuracy lies below what a version of the last day was sure of",
        severity="page",
    ),
    Alert(
        name="DiskLow",
        when=f"{_now('evolvent.disk.free')} / on (run) {_now('evolvent.disk.size')} < 0.15",
        says="Less than 15 % of the disk is free",
        lasts="5m",
        severity="page",
    ),
    Alert(
        name="TargetDown",
        when='up{job="evolvent"} == 0',
        says="{{ $labels.instance }} does not answer",
        lasts="2m",
    ),
    Alert(
        name="Watchdog",
        when="vector(1)",
        says="Always there: when it is gone, warnings do not arrive",
        severity="none",
    ),
)
