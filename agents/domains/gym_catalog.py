"""What reasoning-gym offers, read from its source files: importing it takes seconds.
Knows no task."""

import ast
import os
import re
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NAME = re.compile(r'^DATASET_NAME = "(\w+)"', re.MULTILINE)

# These walk over sets of strings, so the same seed gives other problems in another process.
HASH_ORDERED = frozenset(
    {"intermediate_integration", "isomorphic_strings", "knight_swap", "ransom_note"}
    | {"polynomial_multiplication"}
)
# This one runs stored programs, of which some draw without its seed.
UNREPEATABLE = frozenset({"codeio"})


@cache
def dataset_files() -> dict[str, Path]:
    """The source file of every dataset by name; empty if reasoning-gym is not installed.

    `composite` is not among them: it joins others and has no problems of its own.
    """
    spec = find_spec("reasoning_gym")
    folders = (spec.submodule_search_locations or []) if spec else []
    files = {}
    for folder in folders:
        for path in Path(folder).rglob("*.py"):
            if match := NAME.search(path.read_text(encoding="utf-8")):
                files[match[1]] = path
    return dict(sorted(files.items()))


@cache
def parameter_names(dataset: str) -> frozenset[str]:
    """The difficulty parameters of a dataset: the fields of its configuration class."""
    tree = ast.parse(dataset_files()[dataset].read_text(encoding="utf-8"))
    registered = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "register_dataset"
    )
    config_name = ast.unparse(registered.args[2])
    config = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == config_name
    )
    fields = {
        node.target.id
        for node in config.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return frozenset(fields - {"seed", "size"})


def check_dataset(dataset: str) -> None:
    """Raises ValueError with the names that come close. Without reasoning-gym all pass."""
    names = list(dataset_files())
    if not names or dataset in names:
        return
    close = get_close_matches(dataset, names, n=5, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"allowed are {', '.join(names)}"
    raise ValueError(f"reasoning-gym has no dataset {dataset!r}; {hint}")


def check_repeatable(dataset: str) -> None:
    """Raises ValueError if the same seed would give other problems in another process."""
    if dataset in UNREPEATABLE:
        raise ValueError(f"{dataset} makes other problems each time, so none can be held out")
    if dataset in HASH_ORDERED and not os.environ.get("PYTHONHASHSEED", "random").isdigit():
        raise ValueError(f"{dataset} needs a fixed hash seed: set PYTHONHASHSEED=0 and try again")


def check_parameters(dataset: str, names: set[str]) -> None:
    """Raises ValueError with the parameters that the dataset has."""
    if dataset not in dataset_files():
        return
    allowed = parameter_names(dataset)
    if unknown := names - allowed:
        raise ValueError(
            f"{dataset} has no parameter {', '.join(sorted(unknown))}; "
            f"allowed are {', '.join(sorted(allowed))}"
        )
