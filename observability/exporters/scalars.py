"""What an event adds to curves: values of one step, which is the version. Knows no program."""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from bus.events import Evaluation, Event, Weights

Kind = Literal["train", "eval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The values of one version, by name, and when they were said, in seconds since 1970. Of a
    `kind` each version has one step."""

    kind: Kind
    version: int
    at: float
    values: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def step_of(event: Event) -> Step | None:
    """None for an event without figures."""
    match event:
        case Weights():
            said = {"trained": event.trained, "dropped": event.dropped, **event.metrics}
            return _step("train", event.number, event, said)
        case Evaluation():
            levels = {f"{one.suite}/{one.level}": one.accuracy for one in event.scores if one.total}
            said = {"held_out": event.held_out, "seen": event.seen, **event.quantities, **levels}
            return _step("eval", event.weights_version, event, said)
    return None


def _step(kind: Kind, version: int, event: Event, said: dict[str, float]) -> Step:
    values = {f"{kind}/{name}": float(one) for name, one in said.items() if isfinite(one)}
    return Step(kind=kind, version=version, at=event.created_at.timestamp(), values=values)
