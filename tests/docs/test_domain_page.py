"""The page of domains also shows how one of reasoning-gym's families is configured."""

import tomllib
from random import Random

from pydantic import TypeAdapter

from agents.domains.config import DomainConfig
from tests.docs.pages import blocks


def test_the_page_s_tables_configure_domains_that_make_problems() -> None:
    tables = blocks("adding-a-domain.md", "toml")
    assert len(tables) == 2
    for table in tables:
        fields = tomllib.loads(table)["domain"]
        config: DomainConfig = TypeAdapter(DomainConfig).validate_python(fields)
        built = config.build()
        for level in built.levels:
            problem = built.make(fields["dataset"], level, Random(1))
            assert built.score(problem, problem.answer, ended=True).value == 1.0
