"""The page that shows a new domain shows one that works."""

import re
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter

from agents.domains.config import DomainConfig
from agents.domains.domain import Domain, NotATask

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-domain.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def domain() -> Domain:
    [code] = blocks("python")
    names: dict[str, Any] = {"__name__": "binary"}
    exec(compile(code, str(PAGE), "exec"), names)
    built: Domain = names["BinaryConfig"]().build()
    return built


def test_the_page_s_domain_keeps_the_promises_it_lists(domain: Domain) -> None:
    problem = domain.pose("13")
    assert (problem.level, problem.prompt, problem.answer) == (4, "b13>", "1101")
    random = Random(1)
    for level in domain.levels:
        suite = domain.held_out("binary", level, 64)
        made = domain.make("binary", level, random)
        assert domain.read(domain.write(made)) == made
        assert domain.score(made, made.answer, ended=True).value == 1.0
        assert domain.score(made, made.answer, ended=False).value == 0.0
        assert domain.max_answer_tokens(level) > len(made.answer)
        assert domain.max_proposal_tokens() > len(domain.write(made))
        if level >= 10:
            assert not {domain.make("binary", level, random).prompt for _ in range(500)} & {
                kept_back.prompt for kept_back in suite
            }
            with pytest.raises(NotATask, match="held-out"):
                domain.read(domain.write(suite[0]))


@pytest.mark.parametrize("text", ["", "b", "b013", "13", "x13", "b-1", "b0", "b" + "9" * 9])
def test_the_page_s_domain_refuses_what_is_no_task(domain: Domain, text: str) -> None:
    with pytest.raises(NotATask):
        domain.read(text)


def test_the_page_s_tables_configure_domains_that_make_problems() -> None:
    tables = blocks("toml")
    assert len(tables) == 2
    for table in tables:
        fields = tomllib.loads(table)["domain"]
        config: DomainConfig = TypeAdapter(DomainConfig).validate_python(fields)
        built = config.build()
        for level in built.levels:
            problem = built.make(fields["dataset"], level, Random(1))
            assert built.score(problem, problem.answer, ended=True).value == 1.0
