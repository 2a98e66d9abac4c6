"""Opens reasoning-gym's datasets and asks their scorers.
Knows no level and no prompt."""

import builtins
import re
from typing import Any

from agents.domains.gym_import import factory_of

# A problem is an index of one of two virtual datasets whose seeds never meet: an entry's own
# seed is the dataset's plus its index.
SIZE = 2**31
MADE_SEED, HELD_OUT_SEED = 0, 2**31
# These make all their entries at once.
EAGER_SIZE = 2_000
EAGER = frozenset({"acre", "gsm_symbolic", "list_functions", "word_ladder"})

# Scorers that evaluate an answer as Python, the second kind through sympy: in a room of the
# sandbox, and only what names and calls nothing, since it could forge its own score.
EVALUATED = frozenset({"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"})
PARSED = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication"}
    | {"puzzle24", "simple_integration"}
)
REACHING_OUT = re.compile(r"__|\.\s*[^\W\d]|\blambda\b")
IDENTIFIER = re.compile(r"[^\W\d]\w*")

# Scorers that compare grids of tuples, which JSON gives back as lists.
OF_TUPLES = frozenset({"arc_agi", "rearc"})

# Scorers give up to 1.0000000000000002 to an answer that is right but for a surplus at its end.
MAX_PARTIAL = 0.99


def open_dataset(name: str, seed: int, parameters: dict[str, Any]) -> Any:
    """The dataset with these difficulty parameters. Raises ValueError if it refuses them."""
    size = EAGER_SIZE if name in EAGER else SIZE
    try:
        return factory_of(name).create_dataset(name, seed=seed, size=size, **parameters)
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"{name} does not take the parameters {parameters}: {error}") from error


def score_answer(dataset: Any, name: str, answer: str, entry: dict[str, Any]) -> float | None:
    """The scorer's value, 1.0 only if it gives exactly that; None if it cannot judge the answer.
    Never for a scorer that `evaluates`: see `gym_scorers.py`."""
    if name in OF_TUPLES:
        entry = with_tuples(entry)
    try:
        value = float(dataset.score_answer(answer, entry))
    except Exception:  # some scorers raise on an answer that is no number
        return None
    return value if value == 1.0 else max(0.0, min(value, MAX_PARTIAL))


def evaluates(name: str) -> bool:
    """Whether the scorer of this dataset runs an answer as Python."""
    return name in EVALUATED | PARSED


def is_unsafe(name: str, answer: str) -> bool:
    """Whether the scorer of this dataset would run something the answer calls."""
    if not evaluates(name):
        return False
    quoted = name in PARSED and ("'" in answer or '"' in answer)
    named = any(hasattr(builtins, word) for word in IDENTIFIER.findall(answer))
    return quoted or named or REACHING_OUT.search(answer) is not None


def with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: with_tuples(item) for key, item in value.items()}
    return value
