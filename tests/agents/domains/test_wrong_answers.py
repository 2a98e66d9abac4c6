"""Wrong answers for the warm-up: wrong by the domain's own verifier, of the seed alone."""

from random import Random
from typing import Any

import pytest

from agents.domains.programs.programs import ProgramsConfig
from agents.domains.strings import StringsConfig
from agents.domains.wrong import wrong_answer


@pytest.mark.parametrize(
    "domain",
    [StringsConfig(levels=(1, 2, 3, 4), warmup_levels=(1, 2)).build(), ProgramsConfig().build()],
)
def test_they_are_wrong_and_follow_from_the_seed(domain: Any) -> None:
    for family in domain.families:
        for level in domain.levels[:4]:
            for index in range(30):
                problem = domain.make(family, level, Random(index))
                one, again = (wrong_answer(domain, problem, "123", Random(index)) for _ in range(2))
                assert one == again != ""
                assert not domain.score(problem, one, True).right
