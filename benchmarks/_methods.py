"""What each method is held against, and for how long it runs. Knows no run."""

from dataclasses import dataclass, field

FROZEN = ("source.policy=reference",)
UNIFORM = ("source.type=uniform",)
ORACLE = ("judge.type=exact",)

SEEDS_ALONE, BY_CHANCE = "seed data alone", "rewards by chance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """`versions` are published, a multiple of the recipe's `evaluator.every`. `controls` are the
    same recipe with other settings. Where `seeds_alone`, another control is its seed model, warmed
    up for as many more steps as the method took; where `by_chance`, one has rewards by chance, as
    often right as in the method's run."""

    versions: int = 120
    controls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seeds_alone: bool = True
    by_chance: bool = True

    @property
    def all_controls(self) -> list[str]:
        more = {SEEDS_ALONE: self.seeds_alone, BY_CHANCE: self.by_chance}
        return [name for name, wanted in more.items() if wanted] + list(self.controls)


COLLAPSE = (
    "warmup.steps=800",
    "source.levels=[8,9,10]",
    "loss.kl=0",
    "optimizer.muon_lr=0.006",
    "optimizer.adamw_lr=1e-3",
)
"""Words that the seed model labels wrongly throughout, and nothing that holds the policy back."""

NOBODY_PROPOSES = (*UNIFORM, "loss.proposer_reward=none")
ONE_LEARNS = ("phases=[]", "loss.proposer_reward=none", "loss.repetition=0")

METHODS = {
    "words": Method(controls={"uniform": UNIFORM}),
    "lmsi": Method(versions=6, controls={"oracle": ORACLE}),
    "vote": Method(controls={"oracle": ORACLE}),
    "self-refine": Method(
        versions=60,
        controls={
            "no second look": ("sampler.type=single", "warmup.role_share=0", "loss.role_rows=0")
        },
    ),
    "reflexion": Method(
        versions=20,
        seeds_alone=False,
        by_chance=False,
        controls={
            "no lessons": ("sampler.reads=none",),
            "lessons of others": ("sampler.reads=others",),
        },
    ),
    "self-rewarding": Method(
        versions=60,
        controls={
            "version 0 judges": ("judge.policy=reference",),
            "oracle": (*ORACLE, "warmup.role_share=0", "loss.role_rows=0"),
        },
        by_chance=False,
    ),
    "cream": Method(controls={"all trusted": ("loss.type=dpo",), "oracle": ORACLE}),
    "learned": Method(controls={"frozen": FROZEN, "uniform": UNIFORM}),
    "rft": Method(controls={"one answer a task": ("loss.per_task=1",)}),
    "rest-em": Method(versions=6, controls={"continued": ("learner.restart_every=0",)}),
    "star": Method(versions=6, controls={"no hint": ("sampler.type=single",)}),
    "ttrl": Method(
        versions=80,
        controls={
            "oracle": ORACLE,
            "no guard": ("guards=[]", "loss.kl=0"),
            "collapse": COLLAPSE,
        },
    ),
    "sit": Method(versions=200, by_chance=False, controls={"oracle": ORACLE}),
    "absolute-zero": Method(
        controls={
            "frozen": (*FROZEN, "loss.proposer_reward=none"),
            "uniform": NOBODY_PROPOSES,
        }
    ),
    "r-zero": Method(
        controls={
            "frozen": (*FROZEN, *ONE_LEARNS),
            "uniform": (*UNIFORM, *ONE_LEARNS),
            "oracle": ORACLE,
        }
    ),
    "spiral": Method(by_chance=False, controls={"no seat baseline": ("loss.baseline=batch",)}),
    "self-instruct": Method(versions=90, controls={"uniform": UNIFORM}),
    "evol-instruct": Method(versions=90, controls={"uniform": UNIFORM}),
    "eva": Method(
        versions=90, controls={"any parent": ("source.parents=any",), "uniform": UNIFORM}
    ),
}
