"""What programs read of a run: the JSON object of `evolvent status` and `evolvent curve`.
Knows no bus; its keys are only ever added to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bus.events import Curriculum, Evaluation
from bus.topics import DEAD_SUFFIX
from observability.progress.facts import Version
from observability.progress.known import Known
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
    return known_as_json(progress) | {
        "tokens_per_second": progress.tokens_per_second,
        "versions_per_minute": progress.versions_per_minute,
        "lag": _lag(progress),
        "control": control_as_json(progress, progress.groups),
    }


def known_as_json(known: Known) -> dict[str, Any]:
    """What of this records say, whatever group has read them and however long it took."""
    newest, evaluation = known.newest, known.newest_evaluation
    levels = known.held_out_levels
    return {
        "run": known.run or None,
        "recipe": known.recipe or None,
        "seed": known.seed,
        "started_at": known.started_at.isoformat() if known.started_at else None,
        "version": newest.number if newest else None,
        "versions": known.versions.total,
        "published_at": newest.created_at.isoformat() if newest else None,
        "policies": {
            name: {"version": one.version, "versions": one.versions}
            for name, one in known.policies.items()
        },
        "evaluated": evaluation.weights_version if evaluation else None,
        "held_out": levels.held_out(evaluation) if evaluation else None,
        "held_out_interval": _interval(known, evaluation) if evaluation else None,
        "seen": levels.seen(evaluation) if evaluation else None,
        "accuracy_by_level": _accuracy_by_level(evaluation) if evaluation else {},
        "quantities": dict(evaluation.quantities) if evaluation else {},
        "curriculum": _curriculum(known.newest_curriculum),
        "staleness": _staleness(newest),
        "counts": dict(known.counts),
        "dead": {
            "count": sum(n for name, n in known.counts.items() if name.endswith(DEAD_SUFFIX)),
            "last": [
                {
                    "topic": dead.topic,
                    "offset": dead.offset,
                    "origin": dead.origin,
                    "group": dead.group,
                    "reason": dead.reason,
                }
                for dead in known.dead
            ],
        },
        "refusals": {
            "count": known.counts.get("refusals", 0),
            "share": known.refused_share,
        },
        "lessons": {
            "count": known.counts.get("lessons", 0),
            "solved_by_try": known.solved_by_try,
        },
        "guard": _guard(known),
        "plugins": _plugins(known),
        "metrics": _metrics(newest),
        "evaluations_without_progress": known.evaluations_without_progress,
        "trained_for_nothing": known.moves.for_nothing,
        "curve": [
            {
                "version": version,
                "held_out": levels.held_out(each),
                "seen": levels.seen(each),
                "interval": _interval(known, each),
                "accuracy_by_level": _accuracy_by_level(each),
                "quantities": dict(each.quantities),
            }
            for version, each in known.evaluations.items()
        ],
    }


def _accuracy_by_level(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    suites: dict[str, dict[str, float]] = {}
    for score in sorted(evaluation.scores, key=lambda score: score.level):
        suites.setdefault(score.suite, {})[str(score.level)] = score.accuracy
    return suites


def _interval(known: Known, evaluation: Evaluation) -> list[float] | None:
    interval = known.held_out_levels.interval(evaluation)
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


def control_as_json(known: Known, groups: Sequence[str]) -> dict[str, Any]:
    """What an operator or a guard has said that holds for these."""
    controls = known.controls
    objective = controls.objective
    return {
        "paused": [group for group in groups if controls.is_paused(group)],
        "stopped": [group for group in groups if controls.is_stopped(group)],
        "objective": None if objective is None else objective.settings,
    }


def _guard(known: Known) -> dict[str, Any] | None:
    warned = known.controls.warned
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


def _plugins(known: Known) -> list[dict[str, Any]]:
    newest = known.newest_start.plugins if known.newest_start else ()
    return [
        {"name": plugin.name, "sha256": plugin.sha256, "parts": list(plugin.parts)}
        for plugin in newest
    ]


def _metrics(version: Version | None) -> dict[str, float | None]:
    return {name: version.metric(name) for name in version.metrics} if version else {}
