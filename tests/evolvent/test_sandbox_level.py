"""What holds programs is said of a run that needs it, and of no other."""

from pathlib import Path

import pytest

from evolvent.commands.look import held_by
from evolvent.recipe.load import load_recipe
from evolvent.run.folder import RunFolder


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ('{type="python_programs"}', "monty in bubblewrap"),
        (
            '{type="reasoning_gym", dataset="countdown", levels=[1], warmup_levels=[1]}',
            "Python in bubblewrap",
        ),
        ('{type="reasoning_gym", dataset="chain_sum", levels=[1], warmup_levels=[1]}', None),
        ('{type="strings"}', None),
    ],
)
def test_the_level_of_the_sandbox(domain: str, said: str | None, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(load_recipe("words", [f"domain={domain}"]))
    assert held_by(folder) == said
