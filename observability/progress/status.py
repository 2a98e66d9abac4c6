"""What programs read of a run: the JSON object of `evolvent status` and `evolvent curve`.
Knows no bus; its keys are only ever added to.
"""

from collections.abc import Mapping
from typing import Any

from bus.events import Curriculum, Evaluation
from bus.topics import DEAD_SUFFIX
from observability.progress.facts import Version
from observability.progress.progress import Progress


def as_json(progress: Progress) -> dict[str, Any]:
    """The run as of the last refresh; what is not known yet is null.

    run, recipe, seed, started_at   who; started_at as ISO 8601
    version, versions               the newest version's number; how many were published
    published_at                    of the newest version
    policies                        {name: {version, versions}} of every policy that is trained: the
                                    version that moved it last, how many have
    evaluated, held_out, seen       the newest evaluated version and its two means, null where no
                                    score makes them up
    held_out_interval               [low, high], 95 %
    accuracy_by_level               {suite: {level: accuracy}} of the newest evaluated version
    quantities                      {name: value}: what the domain measures of it besides
    curriculum                      {version, top: {family: level}, success: {"family/level": rate},
                                    proposed, refused, objective: id of the control event by
                                    whose settings the source asks}
    tokens_per_second, versions_per_minute    over the last 20 versions
    staleness                       {mean, max} of the newest version, in versions
    lag                             {group: {topic: records not done}}
    counts                          {topic: records}, dead-letter topics too
    dead                            {count, last: [{topic, offset, origin, group, reason}]}
    refusals                        {count, share}
    lessons                         {count, solved_by_try: [share of the newest version's samples
                                    that were right by the first try, by the second, ...]}
    control                         {paused: [group], stopped: [group], objective: the settings
                                    that an operator or a guard last gave the source}
    guard                           {guard, reason, action, role, version}: why a guard has ended or
                                    paused learning, or has the source ask otherwise; null
                                    where none has or it is over
    plugins                         [{name, sha256, parts}] of the newest start
    metrics                         the trainer's, of the newest version
    evaluations_without_progress    since the best held-out mean
    trained_for_nothing             events trained on while no version differs from version 0
    curve                           one object per evaluated version, oldest first: {version,
                                    held_out, seen, interval, accuracy_by_level, quantities};
                                    beyond 256 of them older ones are left out, every other
    """
    newest, evaluation = progress.newest, progress.newest_evaluation
    levels = progress.held_out_levels
    return {
        "run": progress.run or None,
        "recipe": progress.recipe or None,
        "seed": progress.seed,
        "started_at": progress.started_at.isoformat() if progress.started_at else None,
        "version": newest.number if newest else None,
        "versions": progress.versions.total,
        "published_at": newest.created_at.isoformat() if newest else None,
        "policies": {
            name: {"version": one.version, "versions": one.versions}
            for name, one in progress.policies.items()
        },
        "evaluated": evaluation.weights_version if evaluation else None,
        "held_out": levels.held_out(evaluation) if evaluation else None,
        "held_out_interval": _interval(progress, evaluation) if evaluation else None,
        "seen": levels.seen(evaluation) if evaluation else None,
        "accuracy_by_level": _accuracy_by_level(evaluation) if evaluation else {},
        "quantities": dict(evaluation.quantities) if evaluation else {},
        "curriculum": _curriculum(progress.newest_curriculum),
        "tokens_per_second": progress.tokens_per_second,
        "versions_per_minute": progress.versions_per_minute,
        "staleness": _staleness(newest),
        "lag": _lag(progress),
        "counts": dict(progress.counts),
        "dead": {
            "count": sum(n for name, n in progress.counts.items() if name.endswith(DEAD_SUFFIX)),
            "last": [
                {
                    "topic": dead.topic,
                    "offset": dead.offset,
                    "origin": dead.origin,
                    "group": dead.group,
                    "reason": dead.reason,
                }
                for dead in progress.dead
            ],
        },
        "refusals": {
            "count": progress.counts.get("refusals", 0),
            "share": progress.refused_share,
        },
        "lessons": {
            "count": progress.counts.get("lessons", 0),
            "solved_by_try": progress.solved_by_try,
        },
        "control": _control(progress),
        "guard": _guard(progress),
        "plugins": _plugins(progress),
        "metrics": _metrics(newest),
        "evaluations_without_progress": progress.evaluations_without_progress,
        "trained_for_nothing": progress.moves.for_nothing,
        "curve": [
            {
                "version": version,
                "held_out": levels.held_out(each),
                "seen": levels.seen(each),
                "interval": _interval(progress, each),
                "accuracy_by_level": _accuracy_by_level(each),
                "quantities": dict(each.quantities),
            }
            for version, each in progress.evaluations.items()
        ],
    }


def _accuracy_by_level(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    suites: dict[str, dict[str, float]] = {}
    for score in sorted(evaluation.scores, key=lambda score: score.level):
        suites.setdefault(score.suite, {})[str(score.level)] = score.accuracy
    return suites


def _interval(progress: Progress, evaluation: Evaluation) -> list[float] | None:
    interval = progress.held_out_levels.interval(evaluation)
    return list(interval) if interval else None


def _curriculum(curriculum: Curriculum | None) -> Mapping[str, Any] | None:
    if curriculum is None:
        return None
    return {
        "version": curriculum.weights_version,
        "top": curriculum.top,
        "success": curriculum.success,
        "proposed": curriculum.proposed,
        "refused": curriculum.refused,
        "objective": curriculum.objective,
    }


def _staleness(version: Version | None) -> dict[str, float | None]:
    return {
        "mean": version.metric("staleness_mean") if version else None,
        "max": version.metric("staleness_max") if version else None,
    }


def _lag(progress: Progress) -> dict[str, dict[str, int]]:
    lag: dict[str, dict[str, int]] = {}
    for backlog in progress.backlogs:
        lag.setdefault(backlog.group, {})[backlog.topic] = backlog.records
    return lag


def _control(progress: Progress) -> dict[str, Any]:
    objective = progress.controls.objective
    return {
        "paused": progress.paused,
        "stopped": progress.stopped,
        "objective": None if objective is None else objective.settings,
    }


def _guard(progress: Progress) -> dict[str, Any] | None:
    warned = progress.controls.warned
    if warned is None:
        return None
    guard, reason = warned.finding
    return {
        "guard": guard,
        "reason": reason,
        "action": warned.command,
        "role": warned.role,
        "version": warned.weights_version,
    }


def _plugins(progress: Progress) -> list[dict[str, Any]]:
    newest = progress.newest_start.plugins if progress.newest_start else ()
    return [
        {"name": plugin.name, "sha256": plugin.sha256, "parts": list(plugin.parts)}
        for plugin in newest
    ]


def _metrics(version: Version | None) -> dict[str, float | None]:
    return {name: version.metric(name) for name in version.metrics} if version else {}
