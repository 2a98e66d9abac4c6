"""docs/domains.md shows real tasks, the whole language, and refusals as they are."""

import re
from pathlib import Path

import pytest

from agents.domains.arithmetic import ArithmeticConfig, number_of
from agents.domains.domain import Domain, NotATask
from agents.domains.programs.language import OPERATIONS
from agents.domains.programs.programs import ProgramsConfig
from agents.domains.python_programs.python_programs import PythonProgramsConfig
from agents.games.kuhn import information_sets
from agents.games.kuhn_text import prompt_of
from tests.docs.pages import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "domains.md").read_text(encoding="utf-8")
BEFORE, PYTHON, AFTER = re.split("^## (?=`python_programs`|`codes`)", PAGE, flags=re.MULTILINE)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (BEFORE + AFTER).splitlines()
    if line.startswith("|")
]
DOMAINS: dict[str, Domain] = {
    "arithmetic": ArithmeticConfig(families=("add", "subtract", "multiply", "copy")).build(),
    "programs": ProgramsConfig().build(),
}
FAMILIES = {family: domain for domain in DOMAINS.values() for family in domain.families}
TASKS = [row for row in ROWS if row[0].strip("`") in FAMILIES]
REASONS = ("unparseable", "unknown family", "out of range", "trivial")


@pytest.mark.parametrize("row", TASKS, ids=lambda row: row[0])
def test_every_task_of_the_page_is_answered_so(row: list[str]) -> None:
    family, [prompt] = row[0].strip("`"), re.findall("`(.+)`", row[1])
    domain = FAMILIES[family]
    problem = domain.pose(prompt, family)
    assert (problem.prompt, problem.family) == (prompt, family)
    answers = re.findall("`([^`]+)`", row[2].rpartition(": ")[2])
    assert answers
    for answer in answers:
        assert domain.score(problem, answer, ended=True).right
    if domain is DOMAINS["arithmetic"]:
        assert int(row[3].rpartition("= ")[2]) == number_of(problem.answer)


def test_every_family_has_a_task() -> None:
    assert [row[0].strip("`") for row in TASKS] == list(FAMILIES)


def test_the_page_has_the_whole_language() -> None:
    told = {row[0].strip("`"): row[1] for row in ROWS if re.fullmatch("`[a-z]`", row[0])}
    assert told == {letter: words for letter, (words, _) in OPERATIONS.items()}


def test_the_task_in_python_is_read_and_answered_so() -> None:
    domain = PythonProgramsConfig().build()
    [proposal] = re.findall("^```\n(.*?)\n```", PYTHON, flags=re.MULTILINE | re.DOTALL)
    problem = domain.read(proposal)
    [answer] = re.findall(r"literal: `(.+)`", PYTHON)
    assert (problem.family, problem.level, problem.answer) == ("deduction", 2, answer)
    assert domain.score(problem, answer, ended=True).right


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] in REASONS], ids=lambda row: row[0])
def test_every_refusal_of_the_page_is_so(row: list[str]) -> None:
    texts = re.findall("`([^`]+)`", row[2])
    assert texts
    for text in texts:
        with pytest.raises(NotATask, match=f"^{row[0]}$"):
            DOMAINS["programs"].read(text)


def test_the_figures_of_kuhn_poker_are_so() -> None:
    [program] = blocks("domains.md", "python")
    exec(program, {})


def test_the_prompts_of_kuhn_poker_are_those_of_the_game() -> None:
    shown = {text for row in ROWS for text in re.findall("`(kq[pb]*>)`", row[0])}
    assert shown == {prompt_of(seen) for seen in information_sets() if seen.card == 1}
