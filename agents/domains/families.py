"""The families of tasks that there are: what a recipe may set of each, what its short prompts may
name, and one example. Loads reasoning-gym (seconds) to make the examples."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from agents.domains.arithmetic import ArithmeticConfig
from agents.domains.domain import Domain
from agents.domains.grammar import GrammarConfig
from agents.domains.gym_catalog import HASH_ORDERED, UNREPEATABLE, check_dataset, dataset_files
from agents.domains.kuhn import KuhnConfig
from agents.domains.programs.codes import CodesConfig
from agents.domains.programs.programs import ProgramsConfig
from agents.domains.strings import StringsConfig

_EXAMPLES = {
    "reverse": "3142",
    "sort": "3142",
    "add": "8362+5710",
    "subtract": "8362-5710",
    "multiply": "8362*7",
    "copy": "8362",
    "deduction": "rn:3142",
    "abduction": "rn:3142",
    "induction": "rn:3142",
    "codes": "bf:314",
    "kuhn": "kqpb",
    "grammar": "g3",
}
"""What a user asks of the families that are not reasoning-gym's."""

_DOMAINS: tuple[Domain, ...] = (
    StringsConfig().build(),
    ArithmeticConfig(families=("add", "subtract", "multiply", "copy")).build(),
    ProgramsConfig().build(),
    CodesConfig().build(),
    KuhnConfig().build(),
    GrammarConfig().build(),
)
_OURS = {name: domain for domain in _DOMAINS for name in domain.families}
_NOT_SET = ("seed", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """`domain` is its type in a recipe; `parameters` with their defaults, `prompt_fields` for a
    short prompt; `note` is what must be known beforehand."""

    domain: str
    name: str
    parameters: dict[str, Any]
    prompt_fields: tuple[str, ...]
    question: str
    answer: str
    note: str = ""


def families(
    name: str | None = None, show: Callable[[str], None] = lambda doing: None
) -> list[Family]:
    """All of them, or the one that is called `name`; `show` is told which is looked at. Raises
    `ValueError` with the names that come close."""
    if name is None:
        return [*map(_of_ours, _OURS), *_of_gym(tuple(dataset_files()), show)]
    if name in _OURS:
        return [_of_ours(name)]
    if not dataset_files():
        raise ValueError(
            f"there is no family {name}: there are {', '.join(_OURS)}; those of reasoning-gym "
            "need `uv sync --extra gym`"
        )
    check_dataset(name)
    return list(_of_gym((name,), show))


def _of_ours(name: str) -> Family:
    problem = _OURS[name].pose(_EXAMPLES[name], name)
    return Family(
        domain=_OURS[name].name,
        name=name,
        parameters={},
        prompt_fields=(),
        question=f"{problem.question}, asked as {problem.prompt}",
        answer=problem.answer,
    )


def _of_gym(names: tuple[str, ...], show: Callable[[str], None]) -> Iterator[Family]:
    from agents.domains.gym_datasets import MADE_SEED, open_dataset

    for name in names:
        show(name)
        dataset = open_dataset(name, MADE_SEED, {})
        entry = dataset[0]
        yield Family(
            domain="reasoning_gym",
            name=name,
            parameters=_parameters(dataset.config),
            prompt_fields=tuple(entry["metadata"]),
            question=str(entry["question"]),
            answer=str(entry["answer"] or ""),
            note=_note(name),
        )


def _parameters(config: Any) -> dict[str, Any]:
    named = [field.name for field in fields(config)] if is_dataclass(config) else []
    found = {name: getattr(config, name) for name in named if name not in _NOT_SET}
    return dict(json.loads(json.dumps(found, default=str)))


def _note(name: str) -> str:
    if name in UNREPEATABLE:
        return "makes other problems each time: no recipe can use it"
    if name in HASH_ORDERED:
        return "needs PYTHONHASHSEED=0 in the environment"
    if name == "spell_backward":
        return (
            "with a prompt such as r{word}> a level is a word length, and a model may write tasks"
        )
    return ""
