"""What names a recipe: a digest of all that decides what is learned. Knows no run.

Only what differs from its default counts, so that a field which is added later leaves the digest of
every older run as it was. Devices, places and how a run is operated do not count at all.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel
from pydantic_core import to_json

from agents.critic import CriticConfig
from agents.domains.dataset.dataset import DatasetConfig
from agents.engines.config import LocalConfig, ServerConfig, VllmConfig
from agents.judges.endpoint import EndpointConfig
from agents.policies.config import BUILT_IN, PolicyConfig
from agents.solver import SolverConfig
from trainer.config import LearnerConfig

OPERATED = frozenset(
    {"name", "description", "family", "paper", "run", "bus", "checkpoints", "disk", "notify"}
    | {"guards", "retention", "curves"}
)
"""Sections that say how a run is called, laid out and kept, and when it ends."""

_OPERATED: Mapping[type[BaseModel], frozenset[str]] = {
    # Its sha256 says which data it is.
    DatasetConfig: frozenset({"path", "held_out_path"}),
    LocalConfig: frozenset({"max_rows", "threads"}),
    VllmConfig: frozenset(
        {"apart", "max_rows", "cache_megabytes", "gpu_memory_share", "root", "metrics"}
    ),
    ServerConfig: frozenset({"urls", "control", "patience_seconds"}),
    SolverConfig: frozenset({"concurrency"}),
    CriticConfig: frozenset({"concurrency"}),
    EndpointConfig: frozenset(
        {"url", "key_variable", "timeout_seconds", "patience_seconds", "at_once"}
    ),
    LearnerConfig: frozenset({"micro_batch_tokens", "gradient_checkpointing", "shared_prefixes"}),
}
_ANYWHERE = frozenset({"device"})

_RULES_OF_THE_WHOLE = (
    frozenset({"run", "bus"}),
    frozenset({"run", "bus", "checkpoints", "disk"}),
)
"""Earlier versions took the digest of the recipe as it is stored, but for these sections."""

Section = TypeVar("Section", bound=BaseModel)


def digest_of(recipe: BaseModel) -> str:
    """sha256 of what decides learning and differs from its default."""
    said = _said(recipe, OPERATED)
    if policies := _said_of_policies(recipe):
        said["policies"] = policies
    else:
        said.pop("policies", None)
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def former_digests(settings: Mapping[str, Any]) -> frozenset[str]:
    """What manifests of earlier versions call the recipe that is stored as `settings`."""
    wholes = ({k: v for k, v in settings.items() if k not in out} for out in _RULES_OF_THE_WHOLE)
    return frozenset(hashlib.sha256(to_json(whole)).hexdigest() for whole in wholes)


def operated_as(section: Section, wanted: BaseModel) -> Section:
    """`section` with what `wanted`, which teaches the same, says of devices, places and
    operation."""
    update: dict[str, Any] = {}
    for name in wanted.model_fields_set:
        mine: Any = getattr(section, name, None)
        theirs: Any = getattr(wanted, name)
        if _is_operated(section, name):
            update[name] = theirs
        elif isinstance(mine, BaseModel):
            update[name] = _operated(mine, theirs)
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            update[name] = {key: _operated(mine.get(key), each) for key, each in theirs.items()}
    return section.model_copy(update=update)


def _operated(mine: Any, theirs: Any) -> Any:
    """What is no part, or another one, is as it is wanted."""
    same = isinstance(mine, BaseModel) and type(mine) is type(theirs)
    return operated_as(mine, theirs) if same else theirs


def _said(section: BaseModel, besides: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields of a section that decide learning and differ from their defaults; the type of a
    part, which is the only one that its configuration has."""
    said: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        if name in besides or _is_operated(section, name):
            continue
        value = _plain(getattr(section, name))
        names_part = name == "type" and len(get_args(field.annotation)) < 2
        always = names_part or field.is_required()
        if always or value != _plain(field.get_default(call_default_factory=True)):
            said[name] = value
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _said(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    # A whole number means the same with or without a point.
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _is_operated(section: BaseModel, name: str) -> bool:
    return name in _ANYWHERE or any(
        isinstance(section, config) and name in names for config, names in _OPERATED.items()
    )


def _said_of_policies(recipe: BaseModel) -> dict[str, Any]:
    """A policy with an engine that differs from the recipe's by its place alone is no other one."""
    policies: Mapping[str, PolicyConfig] = getattr(recipe, "policies", {})
    engine = _plain(getattr(recipe, "engine", None))
    found = {}
    for name, policy in policies.items():
        said = _said(policy)
        if said.get("engine") == engine:
            del said["engine"]
        if name not in BUILT_IN or said != _said(BUILT_IN[name]):
            found[name] = said
    return found
