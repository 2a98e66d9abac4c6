"""A run that learns in context alone: lessons come to be, are read, and no weight moves."""

from pathlib import Path

import pytest

from bus.events import Attempt, Lesson
from evolvent.recipe.load import load_recipe
from harness.runs import read_topic
from tests.evolvent.run.test_self_training import ran, versions


@pytest.mark.long
def test_reflexion_remembers_and_moves_no_weight(tmp_path: Path) -> None:
    run = ran("reflexion", tmp_path, "loss={type='none'}", "judge.type=exact")
    digests = [one.files for one in versions(run)]
    assert digests and all(each == digests[0] for each in digests)
    lessons = [event for event in read_topic(run, "lessons") if isinstance(event, Lesson)]
    attempts = [event for event in read_topic(run, "attempts") if isinstance(event, Attempt)]
    assert {one.attempt for one in lessons} <= {one.id for one in attempts}
    memories = [one.memory for one in attempts if one.memory is not None]
    assert len(memories) == len(attempts) and 0 < max(memories) <= len(lessons)


def test_it_is_of_its_family() -> None:
    recipe = load_recipe("reflexion")
    assert (recipe.family, recipe.loss.type) == ("self-improving", "none")
