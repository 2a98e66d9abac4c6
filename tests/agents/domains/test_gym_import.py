"""One dataset is loaded without the others, and is the same."""

import subprocess
import sys

import pytest

from agents.domains.gym_catalog import dataset_files

DATASETS = ("spell_backward", "basic_arithmetic", "n_queens", "leg_counting", "maze", "gcd")
BESIDE = """
import sys
from agents.domains.gym_datasets import open_dataset
alone = {name: open_dataset(name, 7, {}) for name in sys.argv[1:]}
assert not {"sympy", "matplotlib", "cellpylib"} & set(sys.modules)
assert "reasoning_gym" not in sys.modules
import reasoning_gym
for name, made in alone.items():
    whole = reasoning_gym.create_dataset(name, seed=7, size=made.size)
    assert [made[index] for index in range(3)] == [whole[index] for index in range(3)], name
"""
EVERY = """
from agents.domains.gym_catalog import dataset_files
from agents.domains.gym_import import factory_of
for name in dataset_files():
    assert name in factory_of(name).DATASETS, name
"""


def test_a_dataset_alone_is_the_dataset_among_all() -> None:
    subprocess.run([sys.executable, "-c", BESIDE, *DATASETS], check=True, timeout=60)


@pytest.mark.slow
def test_every_dataset_can_be_loaded_alone() -> None:
    assert len(dataset_files()) > 90
    subprocess.run([sys.executable, "-c", EVERY], check=True, timeout=120)
