"""A run told as events: what the log of a run of the recipe `words` looks like, made up.
Knows no model; the curves are formulas.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import exp, sqrt
from random import Random

from bus.events import (
    Attempt,
    Control,
    Curriculum,
    DeadLetter,
    Evaluation,
    Event,
    Judgment,
    LevelCount,
    Proposal,
    Refusal,
    Sample,
    Span,
    SuiteScore,
    Task,
    Turn,
    Verdict,
    Weights,
    derive_id,
)

RUN = "words-7"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WORDS = ["cat", "lamp", "storm", "planet", "harvest", "mountain", "wonderful", "vengeously"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`suites` maps a held-out suite to its levels; the warm-up reaches to `warm_up_end`. What the
    domain measures besides is of `quantities` at version 0 and falls to a tenth."""

    versions: int = 24
    evaluate_every: int = 3
    suites: tuple[str, ...] = ("spell_backward",)
    levels: tuple[int, ...] = tuple(range(3, 11))
    warm_up_end: int = 4
    total: int = 64
    quantities: tuple[tuple[str, float], ...] = ()

    def events(self) -> list[Event]:
        return [event for number in range(self.versions + 1) for event in self.of_version(number)]

    def of_version(self, number: int) -> Iterator[Event]:
        """Everything that is said because of one version, in order."""
        random = Random(number)
        if number == 0:
            yield start()
        yield self.weights(number, random)
        yield self.curriculum(number)
        if number % self.evaluate_every == 0 or number == self.versions:
            yield self.evaluation(number)
        if number % 4 == 1:
            yield refusal(number)
        for index in range(2):
            judged = judgment(number, index, self.skill(number))
            yield from (judged.attempt.task, judged.attempt, judged)

    def skill(self, number: int) -> float:
        reach = self.levels[-1] + 2.7 - self.warm_up_end
        return self.warm_up_end + 0.2 + reach * (1 - exp(-3.0 * self.share(number)))

    def share(self, number: int) -> float:
        return number / self.versions if self.versions else 0.0

    def accuracy(self, level: int, skill: float) -> float:
        return 1 / (1 + exp(1.2 * (level - skill)))

    def weights(self, number: int, random: Random) -> Weights:
        skill = self.skill(number)
        level = min(self.levels[-1], round(skill) + 1)
        tokens = 64 * 8 * (level + 1)
        metrics = {
            "loss": 0.4 * exp(-2 * self.share(number)) + random.uniform(0, 0.05),
            "tokens": float(tokens),
            "samples": 512.0,
            "reward": 0.5,
            "staleness_mean": 0.6 + random.uniform(0, 0.5),
            "staleness_max": float(random.choice((1, 2, 2))),
            "seconds_train": 0.9,
            "seconds_wait": 0.1,
            "seconds_checkpoint": 0.05,
            "skipped": 0.0,
        }
        if number == 0:
            metrics = {"warmup_steps": 250.0, "warmup_seconds": 14.2, "warmup_loss": 0.21}
        return Weights(
            id=weights_id(number),
            run=RUN,
            agent="trainer",
            created_at=at(number) + timedelta(seconds=random.uniform(-0.1, 0.1)),
            number=number,
            parent=number - 1 if number else None,
            parent_id=weights_id(number - 1) if number else None,
            location=f"checkpoints/v{number:06d}-e0001",
            files={"model.safetensors": "0" * 64},
            step=number,
            epoch=1,
            trained=64 if number else 0,
            dropped=1 if number % 5 == 4 else 0,
            consumed=64 * number,
            batch=(
                LevelCount(family=self.suites[0], level=level, tasks=64, samples=512, correct=300),
            ),
            metrics=metrics,
            seed=7,
        )

    def curriculum(self, number: int) -> Curriculum:
        skill = self.skill(number)
        top = max(self.warm_up_end + 1, min(self.levels[-1], round(skill) + 1))
        return Curriculum(
            id=derive_id(RUN, "proposer", f"curriculum-{number}"),
            run=RUN,
            agent="proposer",
            created_at=at(number),
            weights=weights_id(number),
            weights_version=number,
            source="curriculum",
            success={
                f"{suite}/{level}": self.accuracy(level, skill)
                for suite in self.suites
                for level in self.levels
                if level <= top
            },
            top=dict.fromkeys(self.suites, top),
            proposed=64 * (number + 2),
            refused=number // 4,
        )

    def evaluation(self, number: int) -> Evaluation:
        skill = self.skill(number)
        scores = tuple(
            score(
                suite, level, round(self.total * self.accuracy(level, skill - 0.7 * i)), self.total
            )
            for i, suite in enumerate(self.suites)
            for level in self.levels
        )
        return Evaluation(
            id=derive_id(RUN, "evaluator", weights_id(number)),
            run=RUN,
            agent="evaluator",
            created_at=at(number) + timedelta(seconds=1),
            weights=weights_id(number),
            weights_version=number,
            scores=scores,
            held_out=mean([s.accuracy for s in scores if s.level > self.warm_up_end]),
            seen=mean([s.accuracy for s in scores if s.level <= self.warm_up_end]),
            seconds=0.8,
            quantities={
                name: first * (1 - 0.9 * self.share(number)) for name, first in self.quantities
            },
        )


def at(number: int) -> datetime:
    return BEGIN + timedelta(seconds=18 + 1.05 * number)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def weights_id(number: int) -> str:
    return derive_id(RUN, "trainer", f"weights-{number}")


def score(suite: str, level: int, correct: int, total: int) -> SuiteScore:
    share, z = correct / total, 1.96
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return SuiteScore(
        suite=suite,
        level=level,
        total=total,
        correct=correct,
        low=max(0.0, centre - half),
        high=min(1.0, centre + half),
    )


def start(seconds: float = 0.0, name: str = "words") -> Control:
    return Control(
        id=derive_id(RUN, "operator", f"start-{seconds}"),
        run=RUN,
        agent="operator",
        created_at=BEGIN + timedelta(seconds=seconds),
        command="start",
        seed=7,
        settings={"name": name, "domain": {"type": "words", "longest": 10}, "batch": {"size": 64}},
    )


def turn(text: str, version: int) -> Turn:
    tokens = tuple(range(3, 4 + len(text)))
    return Turn(
        prompt_tokens=(1, 2),
        tokens=tokens,
        logprobs=(-0.25,) * len(tokens),
        text=text,
        finish_reason="stop",
        spans=(Span(version=version, start=0, end=len(tokens)),),
    )


def task(number: int, index: int) -> Task:
    word = WORDS[(number + index) % len(WORDS)]
    return Task(
        id=derive_id(RUN, "proposer", weights_id(number), index),
        run=RUN,
        agent="proposer",
        created_at=at(number),
        domain="words",
        family="spell_backward",
        level=len(word),
        prompt=f"r{word}>",
        question=f"Spell this word backward: {word}",
        answer=word[::-1],
        weights_version=number,
        granted_by=weights_id(number),
        source="curriculum",
    )


def judgment(number: int, index: int, skill: float = 5.0, wrong: str = "<b>zz</b>") -> Judgment:
    asked = task(number, index)
    answers = [asked.answer if i < skill else f"{asked.answer[:i]}{wrong}" for i in range(8)]
    verdicts = [
        Verdict(
            scores={"exact": float(answer == asked.answer)},
            reward=float(answer == asked.answer),
            reason="" if answer == asked.answer else "wrong",
            provenance="exact",
        )
        for answer in answers
    ]
    return Judgment(
        id=derive_id(RUN, "critic", asked.id),
        run=RUN,
        agent="critic",
        created_at=at(number) + timedelta(seconds=0.5 + index / 10),
        attempt=Attempt(
            id=derive_id(RUN, "solver", asked.id),
            run=RUN,
            agent="solver",
            created_at=at(number),
            task=asked,
            samples=tuple(Sample(turns=(turn(answer, number),)) for answer in answers),
            temperature=1.0,
        ),
        verdicts=tuple(verdicts),
        critic="exact",
    )


def refusal(number: int, reason: str = "duplicate") -> Refusal:
    return Refusal(
        id=derive_id(RUN, "gate", weights_id(number)),
        run=RUN,
        agent="proposer",
        created_at=at(number),
        proposal=Proposal(turn=turn("lamp", number), draw="d", draw_size=8, index=0),
        reason=reason,
        weights_version=number,
        granted_by=weights_id(number),
    )


def dead_letter(reason: str = "unreadable: invalid JSON") -> DeadLetter:
    return DeadLetter(
        id=derive_id(RUN, "solver", reason),
        run=RUN,
        agent="solver",
        created_at=BEGIN,
        origin_topic="tasks",
        origin_partition=2,
        origin_offset=17,
        group="solver",
        reason=reason,
        value="{",
        headers={},
    )
