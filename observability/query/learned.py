"""The tables of what is learned, measured and said by the operator. Knows no Arrow and no SQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bus.events import Evaluation, LevelCount, SuiteScore, Weights
from bus.records import Record
from bus.topics import DEAD_SUFFIX, TOPICS
from observability.query.columns import SAID, Table, as_json, column, events, of_event


@dataclass(frozen=True, slots=True)
class _Learned:
    weights: Weights
    level: LevelCount


@dataclass(frozen=True, slots=True)
class _Scored:
    evaluation: Evaluation
    score: SuiteScore


def _batches(record: Record, event: Any) -> Iterator[_Learned]:
    for level in event.batch:
        yield _Learned(event, level)


def _scores(record: Record, event: Any) -> Iterator[_Scored]:
    for score in event.scores:
        yield _Scored(event, score)


def _places(weights: Weights) -> list[dict[str, Any]]:
    """Where it lies what a version consumed; ranges are half open."""
    found = []
    for name, ranges in weights.positions.items():
        topic, _, partition = name.rpartition("/")
        found += [
            {"topic": topic, "partition": int(partition), "first": start, "until": end}
            for start, end in ranges
        ]
    return found


_ABOUT_VERSION = of_event(("weights_version", "whole"), ("weights", "text"))

LEARNED = (
    Table(
        name="weights",
        about="Published versions; `places` are the records that each consumed.",
        topics=("weights",),
        rows=events,
        columns=(
            column("version", "whole", "event.number"),
            *SAID,
            *of_event(("policy", "text"), ("parent", "whole"), ("parent_id", "text")),
            *of_event(("location", "text")),
            *of_event(("format", "text"), ("step", "whole"), ("epoch", "whole")),
            *of_event(("trained", "whole"), ("dropped", "whole"), ("consumed", "whole")),
            *of_event(("seed", "whole"), ("metrics", "reals")),
            column("places", "places", lambda row: _places(row.event)),
        ),
    ),
    Table(
        name="batches",
        about="What the batch of a version held of one family and level.",
        topics=("weights",),
        rows=_batches,
        columns=(
            column("version", "whole", "weights.number"),
            column("family", "text", "level.family"),
            column("level", "whole", "level.level"),
            column("tasks", "whole", "level.tasks"),
            column("samples", "whole", "level.samples"),
            column("correct", "whole", "level.correct"),
        ),
    ),
    Table(
        name="curricula",
        about="The proposer's state after a version; `success` by family/level, `top` by family.",
        topics=("curricula",),
        rows=events,
        columns=(
            *SAID,
            *_ABOUT_VERSION,
            *of_event(("source", "text"), ("success", "reals")),
            column("frontier", "reals", "event.top"),
            *of_event(("proposed", "whole"), ("refused", "whole"), ("objective", "text")),
        ),
    ),
    Table(
        name="evaluations",
        about="Held-out scores of a version, as means.",
        topics=("evaluations",),
        rows=events,
        columns=(
            *SAID,
            *_ABOUT_VERSION,
            *of_event(("held_out", "real"), ("seen", "real"), ("seconds", "real")),
            *of_event(("warmup_end", "whole"), ("quantities", "reals")),
        ),
    ),
    Table(
        name="scores",
        about="The same by suite and level, with a 95 % interval.",
        topics=("evaluations",),
        rows=_scores,
        columns=(
            column("evaluation", "text", "evaluation.id"),
            column("weights_version", "whole", "evaluation.weights_version"),
            column("suite", "text", "score.suite"),
            column("level", "whole", "score.level"),
            column("total", "whole", "score.total"),
            column("correct", "whole", "score.correct"),
            column("accuracy", "real", "score.accuracy"),
            column("low", "real", "score.low"),
            column("high", "real", "score.high"),
        ),
    ),
    Table(
        name="promotions",
        about="A gate's decisions on a version.",
        topics=("promotions",),
        rows=events,
        columns=(
            *SAID,
            *_ABOUT_VERSION,
            *of_event(("decision", "text"), ("reasons", "texts")),
        ),
    ),
    Table(
        name="lessons",
        about="What a memory keeps of tries that were not right; it forgets those in `forgets`.",
        topics=("lessons",),
        rows=events,
        columns=(
            *SAID,
            *of_event(("task", "text"), ("attempt", "text"), ("sample", "whole")),
            *of_event(("about", "text"), ("text", "text"), ("weights_version", "whole")),
            *of_event(("forgets", "texts")),
        ),
    ),
    Table(
        name="watermarks",
        about="How far archives have come; `ends` as JSON.",
        topics=("watermarks",),
        rows=events,
        columns=(
            *SAID,
            *of_event(("location", "text"), ("digest", "text")),
            column("ends", "text", lambda row: as_json(row.event.ends)),
        ),
    ),
    Table(
        name="control",
        about="What the operator said to the roles; `settings` as JSON.",
        topics=("control",),
        rows=events,
        columns=(
            *SAID,
            *of_event(("command", "text"), ("role", "text"), ("weights_version", "whole")),
            *of_event(("seed", "whole")),
            column("settings", "text", lambda row: as_json(row.event.settings)),
            column("guard", "text", lambda row: row.event.finding[0]),
            column("reason", "text", lambda row: row.event.finding[1]),
        ),
    ),
    Table(
        name="dead_letters",
        about="Records that could not be read or that a role rejected.",
        topics=tuple(name for name in TOPICS if name.endswith(DEAD_SUFFIX)),
        rows=events,
        columns=(
            *SAID,
            column("topic", "text", "event.origin_topic"),
            column("origin_partition", "whole", "event.origin_partition"),
            column("origin_place", "whole", "event.origin_offset"),
            column("group_name", "text", "event.group"),
            *of_event(("reason", "text")),
        ),
    ),
)
