"""What each method is held against, and for how long it runs. Knows no run."""

from dataclasses import dataclass, field

FROZEN = ("source.policy=reference",)
UNIFORM = ("source.type=uniform",)
ORACLE = ("judge.type=exact",)


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


METHODS = {
    "words": Method(controls={"uniform": UNIFORM}),
    "sit": Method(controls={"oracle": ORACLE, "without a length filter": ("filter.type=all",)}),
    "ttrl": Method(versions=60, controls={"oracle": ORACLE, "without kl": ("loss.kl=0",)}),
    "vote": Method(controls={"oracle": ORACLE}),
    "self-refine": Method(
        controls={
            "no second look": ("sampler.type=single", "warmup.role_share=0", "loss.role_rows=0")
        }
    ),
    "learned": Method(controls={"frozen": FROZEN, "uniform": UNIFORM}),
}
