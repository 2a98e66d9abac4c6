"""Whether a rule of `[checkpoints]` takes the weights of a version. Written apart from what takes
them. Knows no file.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trainer.config import CheckpointsConfig


class Rule(NamedTuple):
    keep_newest: int
    keep_every: int
    keep_evaluated: int


def rules_of(recipes: Iterable[Mapping[str, Any]]) -> frozenset[Rule]:
    """Those of stored recipes."""
    sections = (recipe.get("checkpoints", {}) for recipe in recipes)
    return frozenset(
        rule_of(CheckpointsConfig.model_validate(said).model_dump()) for said in sections
    )


def rule_of(said: Mapping[str, Any]) -> Rule:
    return Rule(*(int(said[name]) for name in Rule._fields))


def is_due(version: int, newest: int, rule: Rule, measured_every: int | None) -> bool:
    """Whether `rule` takes `version` once there is a `newest` one; every so many are measured."""
    if _is_kept_for_ever(version, rule) or version > newest - rule.keep_newest:
        return False
    if not measured_every or version % measured_every:
        return True
    later = range(version + measured_every, newest - rule.keep_newest + 1, measured_every)
    return sum(not _is_kept_for_ever(one, rule) for one in later) >= rule.keep_evaluated


def _is_kept_for_ever(version: int, rule: Rule) -> bool:
    return version == 0 or bool(rule.keep_every and version % rule.keep_every == 0)
