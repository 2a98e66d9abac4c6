"""What the warm-up shows: the roles of a recipe by their share, and nothing else where there are
none; and to a proposer as many tasks as it reads in a run."""

import pytest

from agents.engines.checkpoint.prompting import TOKENIZER, read_prompting
from agents.judges.policy import PolicyJudgeConfig
from agents.sources.learned import LearnedConfig
from evolvent.examples import Examples
from tests.agents.asking import DOMAIN
from trainer.alphabet import build_tokenizer

PROMPTING = read_prompting({TOKENIZER: build_tokenizer(258).to_str()})
JUDGE = PolicyJudgeConfig(template="{prompt}{answer}?", scale=("n", "y"))
END = 1


def texts(examples: Examples, role_share: float) -> list[tuple[str, str]]:
    rows = [examples.row(index, 0.0, role_share) for index in range(300)]
    assert all(row.completion[-1] == END for row in rows)
    return [(PROMPTING.decode(row.prompt), PROMPTING.decode(row.completion)) for row in rows]


def test_a_share_of_the_rows_shows_the_judge() -> None:
    found = texts(Examples(DOMAIN, 1, PROMPTING, END, roles=[JUDGE]), 0.3)
    judged = [answer for prompt, answer in found if prompt.endswith("?")]
    assert 60 < len(judged) < 120
    assert set(judged) == {"n", "y"}
    assert 0.3 < judged.count("y") / len(judged) < 0.7
    for prompt, answer in found:
        if prompt.endswith("?"):
            asked, said = prompt[:-1].split(">")
            right = DOMAIN.score(DOMAIN.pose(asked), said, ended=True).right
            assert answer == ("y" if right else "n")


def test_without_a_share_every_row_is_what_it_was() -> None:
    assert texts(Examples(DOMAIN, 1, PROMPTING, END, roles=[JUDGE]), 0.0) == texts(
        Examples(DOMAIN, 1, PROMPTING, END), 0.0
    )


def test_a_share_of_the_solutions_is_wrong_and_the_others_are_what_they_were() -> None:
    plain = texts(Examples(DOMAIN, 1, PROMPTING, END), 0.0)
    mixed = texts(Examples(DOMAIN, 1, PROMPTING, END, wrong_share=0.3), 0.0)
    wrong = 0
    for right, (prompt, said) in zip(plain, mixed, strict=True):
        asked = DOMAIN.pose(prompt.removesuffix(">"))
        if (prompt, said) != right:
            wrong += not DOMAIN.score(asked, said, ended=True).right
    assert 60 < wrong < 120
    assert wrong == sum(one != other for one, other in zip(plain, mixed, strict=True))


@pytest.mark.parametrize("by_family", [False, True])
def test_a_proposer_is_shown_as_many_tasks_as_in_a_run(by_family: bool) -> None:
    proposer = LearnedConfig(show_seeds=6, show_made=2, by_family=by_family)
    examples = Examples(DOMAIN, 1, PROMPTING, END, proposer=proposer)
    alone = Examples(DOMAIN, 1, PROMPTING, END)
    mixed = 0
    for index in range(40):
        row = examples.proposal(index)
        *shown, own = PROMPTING.decode(row.prompt).split("|")
        assert (len(shown), own) == (8, DOMAIN.proposer_prompt())
        assert row.completion == alone.proposal(index).completion
        families = {DOMAIN.read(text).family for text in shown}
        mixed += len(families) > 1
        if by_family:
            assert families == {DOMAIN.read(PROMPTING.decode(row.completion[:-1])).family}
    assert (mixed > 30) != by_family
