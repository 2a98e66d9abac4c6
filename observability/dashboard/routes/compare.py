"""Two runs, or two versions, side by side."""

from collections.abc import Iterator, Mapping
from typing import Any

from bus.errors import Unreadable
from bus.events import Judgment
from bus.log import Log
from observability.dashboard.asked import Words, Wrong
from observability.dashboard.index.seen import seen
from observability.dashboard.places import Place
from observability.dashboard.routes.runs import summary
from observability.dashboard.routes.series import HELD_OUT, evaluations_of, series
from observability.dashboard.routing import Ask, Param, Route
from observability.dashboard.runs import Run
from observability.replay import shown

_PROBLEMS = 50
_NEWEST = 20_000
"""So many of the newest judgments of a side are looked at."""
_WHY = (
    "evaluations on the log hold scores and no answers: these are problems of the training that "
    "both were asked, with the answers of the time"
)


class _Side:
    """One of the two: a run at a position."""

    def __init__(self, ask: Ask, name: str) -> None:
        said = ask.words.text(name)
        if said is None:
            raise Wrong(400, f"name two to compare: {name}=RUN or {name}=RUN@POSITION")
        run, _, at = said.partition("@")
        self.run: Run = ask.runs.named(run)
        self.place: Place = self.run.places.at(at or None)
        self.words = Words({"run": run}, [("at", at), ("points", "1000")])
        self.ask = Ask(ask.runs, self.words)
        self.status = self.run.watched.state(self.place.ends, shown.as_json)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The recipe of its newest start."""
        start = self.run.watched.state(self.place.ends, lambda one: one.known.newest_start)
        return start.settings if start is not None else {}

    def as_json(self) -> dict[str, Any]:
        return {
            "run": summary(self.run),
            "at": self.place.at,
            "version": self.status["version"],
            "status": self.status,
        }

    def series(self) -> dict[str, Any]:
        whole = series(self.ask)
        seconds, found = 0.0, []
        for one in whole["columns"]["seconds"]:
            seconds += one or 0.0
            found.append(seconds)
        columns = {name: whole["columns"][name] for name in (*HELD_OUT, "reward", "success")}
        return {
            "version": whole["version"],
            "time": whole["time"],
            "evolved_seconds": found,
        } | columns

    def scores(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Of the newest evaluation there."""
        evaluations = evaluations_of(self.run, self.place)
        scores = evaluations[-1]["scores"] if evaluations else ()
        return {
            (one["suite"], one["level"]): {
                **{name: one[name] for name in ("correct", "total", "low", "high")},
                "accuracy": one["correct"] / one["total"],
            }
            for one in scores
            if one["total"]
        }

    def asked(self) -> dict[int, tuple[int, int, int]]:
        """Of the newest prompts where the last judgment lies, and for which version."""
        table, _ = seen(self.place)
        rows = self.run.watched.store.rows(
            f"WITH {table} SELECT prompt, part, joff, version FROM seen WHERE joff IS NOT NULL "
            f"AND prompt IS NOT NULL ORDER BY n DESC LIMIT {_NEWEST}"
        )
        return {prompt: (part, joff, version) for prompt, part, joff, version in reversed(rows)}


def compare(ask: Ask) -> dict[str, Any]:
    a, b = _Side(ask, "a"), _Side(ask, "b")
    return {
        "a": a.as_json(),
        "b": b.as_json(),
        "series": {"a": a.series(), "b": b.series()},
        "scores": list(_scores(a.scores(), b.scores())),
        "settings": list(_settings(a.settings, b.settings)),
        "metrics": [
            {"name": name, "a": a.status["metrics"].get(name), "b": b.status["metrics"].get(name)}
            for name in dict.fromkeys((*a.status["metrics"], *b.status["metrics"]))
        ],
        "answers": {"available": False, "why": _WHY, "problems": _problems(a, b)},
    }


def _scores(
    a: Mapping[tuple[str, int], dict[str, Any]], b: Mapping[tuple[str, int], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for suite, level in sorted({*a, *b}):
        one, other = a.get((suite, level)), b.get((suite, level))
        both = one is not None and other is not None
        yield {
            "suite": suite,
            "level": level,
            "a": one,
            "b": other,
            "difference": other["accuracy"] - one["accuracy"] if one and other else None,
            "clear": bool(
                both
                and one
                and other
                and (one["high"] < other["low"] or other["high"] < one["low"])
            ),
        }


def _settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    one, other = dict(_flat(a)), dict(_flat(b))
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield {"name": name, "a": one.get(name), "b": other.get(name)}


def _flat(settings: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(settings, Mapping) and settings:
        for key, value in settings.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, settings


def _problems(a: _Side, b: _Side) -> list[dict[str, Any]]:
    """What both were asked, the newest first."""
    one, other = a.asked(), b.asked()
    shared = [
        prompt for prompt in reversed(one) if prompt in other and one[prompt] != other[prompt]
    ]
    found = []
    for prompt in shared[:_PROBLEMS]:
        first, second = _judged(a, one[prompt]), _judged(b, other[prompt])
        if first is not None and second is not None:
            task = first.attempt.task
            found.append(
                {name: getattr(task, name) for name in ("question", "answer", "family", "level")}
                | {"a": _answered(first), "b": _answered(second)}
            )
    return found


def _judged(side: _Side, at: tuple[int, int, int]) -> Judgment | None:
    def look(log: Log) -> Judgment | None:
        try:
            event = next(iter(log.read("judgments", at[0], at[1], at[1] + 1))).event()
        except (Unreadable, StopIteration):
            return None
        return event if isinstance(event, Judgment) else None

    return side.run.watched.look(look)


def _answered(judgment: Judgment) -> dict[str, Any]:
    return {
        "task": judgment.attempt.task.id,
        "version": judgment.attempt.task.weights_version,
        "answers": [sample.answer for sample in judgment.attempt.samples],
        "correct": sum(verdict.right for verdict in judgment.verdicts),
        "samples": len(judgment.verdicts),
    }


ROUTES = (
    Route(
        path="/compare",
        about="Two runs, or two versions: curves, scores, settings, the same problems answered.",
        answer=compare,
        params=(
            Param(name="a", about="RUN or RUN@POSITION.", required=True),
            Param(name="b", about="RUN or RUN@POSITION.", required=True),
        ),
    ),
)
