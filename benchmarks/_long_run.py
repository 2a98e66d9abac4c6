"""A long run, made up: versions that consume what was asked because of the one before, so that a
dashboard has something to show."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from bus.events import (
    Attempt,
    Curriculum,
    Evaluation,
    Event,
    Judgment,
    LevelCount,
    Sample,
    Span,
    SuiteScore,
    Task,
    Turn,
    Verdict,
    Weights,
    derive_id,
)
from bus.topics import PARTITIONS, partition_of

RUN = "made-up"
_BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
_LEVELS = range(1, 9)
_EVALUATED_EVERY = 20
_TOKENS = tuple(range(1, 25))
_TEXT = "a step of thought, then the answer"
_METRICS = ("loss", "grad_norm", "tokens", "samples", "staleness_mean", "staleness_max")


class LongRun:
    """`tasks` for each of its versions, `samples` for each task."""

    def __init__(self, tasks: int, samples: int = 4) -> None:
        self._tasks, self._samples = tasks, samples
        self._random = Random(1)
        self._ends = [0] * PARTITIONS
        self._taken = [0] * PARTITIONS
        self._number = 0
        self._parent: str | None = None
        self._time = _BEGIN

    def version(self) -> Iterator[Event]:
        """All that is said because of the next version."""
        weights = self._weights()
        yield weights
        yield self._curriculum(weights)
        if weights.number % _EVALUATED_EVERY == 0:
            yield self._evaluation(weights)
        for index in range(self._tasks):
            yield from self._judged(weights, index)

    def events(self, number: int) -> Iterator[Event]:
        """So many events, or up to a version more."""
        said = 0
        while said < number:
            for event in self.version():
                said += 1
                yield event

    def _at(self) -> datetime:
        self._time += timedelta(milliseconds=10)
        return self._time

    def _weights(self) -> Weights:
        number, self._number = self._number, self._number + 1
        ranges = {
            f"judgments/{part}": ((self._taken[part], end),)
            for part, end in enumerate(self._ends)
            if end > self._taken[part]
        }
        self._taken = [*self._ends]
        weights = Weights(
            id=derive_id(RUN, "trainer", self._parent or "seed"),
            run=RUN,
            agent="trainer",
            created_at=self._at(),
            number=number,
            parent=number - 1 if number else None,
            parent_id=self._parent,
            location=f"checkpoints/v{number:06d}-e0001",
            files={"model.safetensors": f"{number:064d}"},
            step=number,
            epoch=1,
            positions=ranges,
            trained=sum(end - start for ((start, end),) in ranges.values()),
            batch=tuple(
                LevelCount(family="reverse", level=level, tasks=8, samples=64, correct=32)
                for level in _LEVELS
            ),
            metrics={name: number / 7 for name in _METRICS} | {"reward": self._skill(4)},
        )
        self._parent = weights.id
        return weights

    def _skill(self, level: int) -> float:
        return float(1 / (1 + 1.5 ** (level - 1 - self._number / 300)))

    def _curriculum(self, weights: Weights) -> Curriculum:
        return Curriculum(
            id=derive_id(RUN, "proposer", weights.id),
            run=RUN,
            agent="proposer",
            created_at=self._at(),
            weights=weights.id,
            weights_version=weights.number,
            source="curriculum",
            success={f"reverse/{level}": self._skill(level) for level in _LEVELS},
            top={"reverse": _LEVELS[-1]},
            proposed=weights.number * self._tasks,
        )

    def _evaluation(self, weights: Weights) -> Evaluation:
        right = {level: round(64 * self._skill(level)) for level in _LEVELS}
        scores = tuple(
            SuiteScore(suite="reverse", level=level, total=64, correct=one, low=0.0, high=1.0)
            for level, one in right.items()
        )
        return Evaluation(
            id=derive_id(RUN, "evaluator", weights.id),
            run=RUN,
            agent="evaluator",
            created_at=self._at(),
            weights=weights.id,
            weights_version=weights.number,
            scores=scores,
            held_out=sum(right[level] for level in _LEVELS[3:]) / 64 / len(_LEVELS[3:]),
            seen=sum(right[level] for level in _LEVELS[:3]) / 64 / 3,
            seconds=1.0,
            warmup_end=3,
        )

    def _judged(self, weights: Weights, index: int) -> Iterator[Event]:
        random, level = self._random, _LEVELS[index % len(_LEVELS)]
        word = f"{random.getrandbits(24):06x}"
        task = Task(
            id=derive_id(RUN, "proposer", weights.id, index + 1),
            run=RUN,
            agent="proposer",
            created_at=self._at(),
            domain="strings",
            family="reverse",
            level=level,
            prompt=f"reverse {word}>",
            question=f"Spell {word} backward",
            answer=word[::-1],
            weights_version=weights.number,
            granted_by=weights.id,
            source="curriculum",
        )
        rewards = [float(random.random() < self._skill(level)) for _ in range(self._samples)]
        attempt = Attempt(
            id=derive_id(RUN, "solver", task.id),
            run=RUN,
            agent="solver",
            created_at=self._at(),
            task=task,
            samples=tuple(self._sample(weights.number, word, one) for one in rewards),
            temperature=1.0,
        )
        yield from (task, attempt)
        judgment = Judgment(
            id=derive_id(RUN, "critic", attempt.id),
            run=RUN,
            agent="critic",
            created_at=self._at(),
            attempt=attempt,
            verdicts=tuple(
                Verdict(scores={"exact": one}, reward=one, reason="", provenance="exact")
                for one in rewards
            ),
            critic="exact",
        )
        self._ends[partition_of(judgment.key, PARTITIONS)] += 1
        yield judgment

    def _sample(self, version: int, word: str, reward: float) -> Sample:
        turn = Turn(
            prompt_tokens=_TOKENS[:8],
            tokens=_TOKENS,
            logprobs=tuple(-0.05 * token for token in _TOKENS),
            text=f"{_TEXT}: {word[::-1] if reward else word}",
            finish_reason="stop",
            spans=(Span(version=version, start=0, end=len(_TOKENS)),),
        )
        return Sample(turns=(turn,))
