"""A plug-in with a part of every kind: what users write outside of the tree, as one file."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.domains.domain import Domain
from agents.domains.strings import Strings, StringsConfig
from agents.parts import PartConfig, Parts, RoleConfig
from agents.samplers.sampler import Speak
from agents.sources.source import Draft, Draw, SourceState
from bus.events import (
    Attempt,
    Evaluation,
    Judgment,
    LevelCount,
    Promotion,
    Sample,
    Task,
    Verdict,
    derive_id,
)
from trainer.batch import Batch
from trainer.rows import Row, row_of

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.forward import Scored
    from trainer.replay import Replay


class MirrorConfig(PartConfig):
    """Digits read backwards, up to a length of `longest`."""

    type: Literal["mirror"] = "mirror"
    longest: int = Field(default=5, ge=2)

    def build(self, parts: Parts) -> Domain:
        return Mirror(
            StringsConfig(
                families=("reverse",),
                levels=tuple(range(1, self.longest + 1)),
                warmup_levels=(1, 2),
            )
        )


class Mirror(Strings):
    name = "mirror"


class ShortConfig(PartConfig):
    """Only the first `levels` levels are asked."""

    type: Literal["short"] = "short"
    levels: int = Field(default=2, gt=0)

    def build(self, parts: Parts) -> "Short":
        return Short(parts.domain, self.levels)


class Short:
    def __init__(self, domain: Domain, levels: int) -> None:
        self._domain = domain
        self._levels = list(domain.levels)[:levels]

    @property
    def state(self) -> SourceState:
        return SourceState(success={}, top={})

    def restore(self, state: SourceState) -> None:
        pass

    def fold(self, batch: Sequence[LevelCount]) -> None:
        pass

    async def draw(self, count: int, random: Random, version: int, draw_id: str) -> Draw:
        [family] = self._domain.families
        problems = [
            self._domain.make(family, random.choice(self._levels), random) for _ in range(count)
        ]
        return Draw(drafts=tuple(Draft(problem=one, source="short") for one in problems))


class SparringConfig(PartConfig):
    """A partner, the policy `against`, answers first; what it says is not learned from."""

    type: Literal["sparring"] = "sparring"
    against: str = "promoted"

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.against,)

    def build(self, parts: Parts) -> "Sparring":
        return Sparring(parts, self.against)


class Sparring:
    def __init__(self, parts: Parts, against: str) -> None:
        self._partner = parts.policy(against)
        self._domain = parts.domain

    async def sample(self, task: Task, n: int, speak: Speak) -> Sequence[Sample]:
        room = self._domain.max_answer_tokens(task.level)
        partners = await self._partner.sample(
            task.prompt, n, max_tokens=room, seat="partner", trainable=False
        )
        own = await speak(task.prompt, n, seat="solver")
        return [Sample(turns=turns) for turns in zip(partners, own, strict=True)]


class LengthConfig(PartConfig):
    """An answer is worth `reward` if it is as long as the right one."""

    type: Literal["length"] = "length"
    reward: float = 1.0

    def build(self, parts: Parts) -> "Length":
        return Length(self.reward)


class Length:
    def __init__(self, reward: float) -> None:
        self._reward = reward

    async def judge(self, attempt: Attempt) -> tuple[Verdict, ...]:
        # What it prints is nobody's but the log's.
        for said in ("3", '["no", "message"]', "long" * 40_000):
            print(said)
        return tuple(self._verdict(attempt.task, sample) for sample in attempt.samples)

    def _verdict(self, task: Task, sample: Sample) -> Verdict:
        fits = sample.ended and len(sample.answer) == len(task.answer)
        return Verdict(
            scores={"length": float(fits)},
            reward=self._reward * fits,
            reason="as long" if fits else "another length",
            provenance="length",
        )


class SomeConfig(BaseModel):
    """All judgments but the first `without` of a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["some"] = "some"
    without: int = Field(default=1, ge=0)

    def build(self, parts: Any) -> "Some":
        return Some(self.without)


class Some:
    def __init__(self, without: int) -> None:
        self._without = without

    def choose(self, judgments: Sequence[Judgment], random: Random) -> Sequence[Judgment]:
        return judgments[self._without :]


class PlainConfig(BaseModel):
    """Every sample counts as much as its reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["plain"] = "plain"

    def build(self, parts: Any) -> "Plain":
        return Plain()


class Plain:
    reference = None

    def steps(self, batch: Batch, replay: "Replay", random: Random) -> Iterator[list[Row]]:
        rows = [
            row_of(turn, verdict.reward)
            for judgment in batch.judgments
            for sample, verdict in zip(judgment.attempt.samples, judgment.verdicts, strict=True)
            for turn in sample.trainable
            if verdict.reward > 0
        ]
        if rows:
            yield rows

    def __call__(self, scored: "Scored") -> "Tensor":
        weights_BT = scored.mask_BT * scored.weights_B[:, None]
        return -(scored.logprobs_BT * weights_BT).sum() / weights_BT.sum()


class PromoterConfig(RoleConfig):
    """promotes: versions that were measured and are no worse than all before"""

    topics: ClassVar[tuple[str, ...]] = ("evaluations",)
    exclusive: ClassVar[bool] = True

    type: Literal["promoter"] = "promoter"

    def build(self, parts: Parts) -> "Promoter":
        return Promoter(parts)


class Promoter:
    def __init__(self, parts: Parts) -> None:
        self._run = parts.run
        self._best = -1.0

    async def handle(self, event: Evaluation) -> Sequence[Promotion]:
        worth = event.held_out + event.seen
        better, self._best = worth >= self._best, max(worth, self._best)
        promotion = Promotion(
            id=derive_id(self._run, "promoter", event.id),
            run=self._run,
            agent="promoter",
            weights=event.weights,
            weights_version=event.weights_version,
            decision="promoted" if better else "rejected",
            reasons=(f"worth {worth:.2f}",),
        )
        return [promotion]


PARTS = {
    "domain": [MirrorConfig],
    "source": [ShortConfig],
    "sampler": [SparringConfig],
    "judge": [LengthConfig],
    "filter": [SomeConfig],
    "update": [PlainConfig],
    "role": [PromoterConfig],
}
