"""What a proposer reads before it writes: tasks of a fixed pool, and such as models wrote before.

Self-Instruct (Wang et al. 2022, arXiv 2212.10560) shows 6 of its 175 seed tasks and 2 that the
model wrote; Absolute Zero (Zhao et al. 2025, arXiv 2505.03335) past tasks of the kind that is asked
for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from agents.domains.domain import Domain, Problem

SEPARATOR = "|"
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A task as a model writes it."""

    family: str
    text: str


def in_context(prompt: str, shown: Sequence[str]) -> str:
    """The proposer's prompt behind the tasks that it is shown: `drn:3142|aw:77|P>`."""
    return SEPARATOR.join((*shown, prompt))


def seed_tasks(domain: Domain, count: int, seed: int) -> tuple[Written, ...]:
    """The fixed pool as texts."""
    return tuple(
        Written(family=problem.family, text=domain.write(problem))
        for problem in seed_problems(domain, count, seed)
    )


def seed_problems(domain: Domain, count: int, seed: int) -> tuple[Problem, ...]:
    """The fixed pool: `count` tasks of the warm-up levels, of all families alike; fewer where there
    are not so many."""
    random = Random(f"{seed}/seed tasks")
    families, levels = list(domain.families), list(domain.warmup_levels or domain.levels[:1])
    found: dict[str, Problem] = {}
    for index in range(_TRIES * count):
        if len(found) == count:
            break
        family = families[index % len(families)]
        problem = domain.make(family, random.choice(levels), random)
        found[problem.prompt] = problem
    return tuple(found.values())


def drawn(
    seeds: Sequence[Written],
    made: Sequence[Written],
    counts: tuple[int, int],
    random: Random,
    family: str | None = None,
) -> list[str]:
    """So many texts of `seeds` and of `made`, mixed, all of `family` if one is named; while there
    are too few of `made`, seeds stand in."""
    num_seeds, num_made = counts
    own = _of(made, family)
    chosen = random.sample(own, min(num_made, len(own)))
    fixed = _of(seeds, family)
    chosen += random.sample(fixed, min(num_seeds + num_made - len(chosen), len(fixed)))
    random.shuffle(chosen)
    return chosen


def _of(written: Iterable[Written], family: str | None) -> list[str]:
    return [one.text for one in written if family in (None, one.family)]
