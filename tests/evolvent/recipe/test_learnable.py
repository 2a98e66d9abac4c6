"""A recipe that could never learn is refused with the reason; its neighbours that can are taken."""

import pytest

from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["loss.type=grpo", "solver.samples=1"], "never learn from a group of one"),
        (
            ["loss.type=grpo", "solver.top_p=0.9"],
            "solver.top_p = 0.9: loss.type = 'grpo'",
        ),
        (["loss.type=grpo", "solver.top_k=5"], "solver.top_k = 5: loss.type = 'grpo'"),
        (["judge.type=vote", "solver.samples=1"], "every answer in the majority"),
        (["filter.type=band", "solver.samples=1"], "no share of solver.samples = 1"),
        (["filter={type='band', low=0, high=0}"], "no share of solver.samples = 8"),
        (["judge={type='chance', rate=0}"], "nothing would ever be right"),
        (["judge={type='chance', rate=1}", "loss.type=grpo"], "judged alike"),
        (["loss.fresh_rows=0", "loss.replay_rows=0", "loss.warmup_rows=8"], "are all 0"),
        (["loss.growth=1.2"], "set learner.restart_every"),
        (
            ["sampler.type=rationalise", "loss.type=grpo"],
            "learned after another prompt",
        ),
        (["loss.type=grpo", "loss.proposer_reward=azr"], "with source.type = 'curriculum' none"),
        (
            ["loss={type='grpo', proposer_reward='azr'}", "source={type='learned', top_k=3}"],
            "source.top_k = 3: loss.proposer_reward = 'azr'",
        ),
        (
            [
                "loss={type='grpo', proposer_reward='azr'}",
                "source={type='learned', policy='reference'}",
            ],
            "'reference' follows reference",
        ),
        (["source.type=mutate"], "has no operators for that"),
        (["domain.warmup_levels=[]"], "warmup.steps = 200 needs domain.warmup_levels"),
        (
            ["domain.warmup_levels=[]", "warmup.steps=0", "loss.warmup_rows=4"],
            "loss.warmup_rows = 4 needs domain.warmup_levels",
        ),
        (["judge.type=implicit"], "no answer would ever be right"),
        (["judge.type=policy"], "would not know what to say where type = 'policy'"),
        (["warmup.role_share=0.2"], "neither source nor sampler nor judge asks"),
        (["loss.role_rows=4"], "loss.role_rows = 4 needs warmup.role_share"),
    ],
)
def test_what_can_never_learn_is_refused(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_recipe("words", settings)


@pytest.mark.parametrize(
    "settings",
    [
        ["loss.type=grpo", "solver.samples=2"],
        ["solver.samples=1"],
        ["solver.top_p=0.9", "solver.top_k=5", "solver.temperature=0.6"],
        ["loss.type=grpo", "solver.temperature=0.6", "solver.stop=[';']"],
        ["filter.type=band", "solver.samples=2"],
        ["judge={type='chance', rate=1}"],
        ["judge={type='chance', rate=0.5}", "loss.type=grpo"],
        ["loss.fresh_rows=0"],
        ["sampler.type=rationalise", "warmup.role_share=0.2"],
        ["loss.growth=1.2", "learner.restart_every=1"],
        ["domain.warmup_levels=[]", "warmup.steps=0"],
        ["judge.type=implicit", "loss.type=cream"],
        ["judge.type=policy", "warmup.role_share=0.2", "loss.role_rows=4"],
    ],
)
def test_what_can_learn_is_taken(settings: list[str]) -> None:
    load_recipe("words", settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["sampler={type='single'}"], "games need all three to be about games"),
        (["judge={type='exact'}"], "games need all three to be about games"),
        (["loss={type='nll'}"], "the seats of a game have different ones"),
        (["loss={type='dpo'}"], "the seats of a game have different ones"),
    ],
)
def test_games_go_together(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_recipe("spiral", settings)


@pytest.mark.parametrize("settings", [["sampler.type=game"], ["judge.type=game"]])
def test_other_domains_have_no_games(settings: list[str]) -> None:
    with pytest.raises(UsageError, match="games need all three to be about games"):
        load_recipe("grpo", settings)


def test_coins_may_judge_games() -> None:
    load_recipe("spiral", ["judge={type='chance'}", "sampler.opponents={second='previous'}"])
