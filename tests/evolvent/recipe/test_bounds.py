"""Numbers that no run could work with are refused, with their range; all others are not."""

import pytest

from evolvent.errors import UsageError
from evolvent.recipe.load import load_recipe


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (f"seed={2**64}", r"seed = 18446744073709551616: allowed is -9,223,372,036,854,775,808 to"),
        (f"seed={-(2**63) - 1}", "seed = -9223372036854775809: allowed is"),
        (f"trainer.size={10**12}", "trainer.size = 1000000000000: allowed is .* to 1,000,000"),
        (f"model.layers={2**31}", "model.layers = 2147483648: allowed is"),
        (f"learner.replay_capacity={10**9}", "learner.replay_capacity"),
        (f"warmup.optimizer.adamw_lr={1e300}", r"warmup.optimizer.adamw_lr = 1e\+300"),
        ("solver.temperature=1e-300", "solver.temperature = 1e-300: allowed is 0.001 to 1000"),
        ("trainer.timeout_seconds=1e300", "trainer.timeout_seconds"),
        (f"judges=[{{type='exact'}}, {{type='model', max_tokens={2**40}}}]", "judges.max_tokens"),
        (f"policies.old={{follow='reference', version={2**70}}}", "policies.old.version"),
        (
            "trainer.size=600000",
            "trainer.size = 600000 .*: 1,200,000 tasks would be open at a time",
        ),
        (f"evaluator.levels=[{2**40}]", "evaluator.levels"),
    ],
)
def test_a_number_out_of_range_is_named(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"recipe words: {said}"):
        load_recipe("words", [setting])


@pytest.mark.parametrize(
    "setting",
    [
        f"seed={2**63 - 1}",
        f"seed={-(2**63)}",
        "seed=0",
        "judges=[{type='exact'}, {type='model', temperature=0}]",
        "solver.temperature=0.001",
        f"domain.parameters={{seed_dataset_entries={10**15}}}",
    ],
)
def test_a_number_within_it_is_taken(setting: str) -> None:
    if "parameters" in setting:
        with pytest.raises(UsageError, match="has no parameter"):
            load_recipe("words", [setting])
    else:
        load_recipe("words", [setting])
