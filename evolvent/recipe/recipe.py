"""A recipe: one TOML file that names every part of a run. Loads no part and no torch."""

import hashlib
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agents.domains.config import DomainConfig
from agents.engines.config import EngineConfig, LocalConfig, ServerConfig, VllmConfig
from agents.evaluator import EvaluatorConfig
from agents.judges.config import JudgeConfig
from agents.judges.exact import ExactConfig
from agents.policies.policy import BUILT_IN, PolicyConfig
from agents.proposer import ProposerConfig
from agents.solver import SolverConfig
from agents.sources.config import SourceConfig
from agents.sources.curriculum import CurriculumConfig
from bus.config import BusConfig, SqliteConfig, bus_from_url
from bus.errors import BusError
from evolvent.errors import UsageError
from evolvent.recipe import rules
from trainer.batch import BatchConfig
from trainer.config import (
    LearnerConfig,
    LoraConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    WarmupConfig,
)
from trainer.updates.nll import NllConfig

RoleName = Literal["proposer", "solver", "critic", "evaluator", "trainer"]
ROLES: tuple[RoleName, ...] = ("proposer", "solver", "critic", "evaluator", "trainer")

Processes = tuple[tuple[RoleName, ...], ...]
_TWO: Processes = (("proposer", "solver", "critic", "evaluator"), ("trainer",))


Section = TypeVar("Section", bound=BaseModel)


class RunConfig(BaseModel):
    """`budget_seconds` of evolution per start; `processes` lists the roles that share a process,
    None leaves that to the bus; `keep_states` checkpoints keep what training resumes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget_seconds: float = Field(default=90.0, gt=0)
    processes: Processes | None = None
    keep_states: int = Field(default=3, gt=0)

    @field_validator("processes")
    @classmethod
    def _every_role_once(cls, processes: Processes | None) -> Processes | None:
        named = sorted(role for process in processes or () for role in process)
        if processes is not None and named != sorted(ROLES):
            raise ValueError(f"name each of {', '.join(ROLES)} exactly once")
        return processes


class Recipe(BaseModel):
    """All settings of a run; every section is the configuration of one part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str
    seed: int = 1
    run: RunConfig = RunConfig()
    domain: DomainConfig
    model: ModelConfig = ModelConfig()
    warmup: WarmupConfig = WarmupConfig()
    source: SourceConfig = CurriculumConfig()
    proposer: ProposerConfig = ProposerConfig()
    engine: EngineConfig = LocalConfig()
    policies: dict[str, PolicyConfig] = {}
    solver: SolverConfig = SolverConfig()
    judge: JudgeConfig = ExactConfig()
    trainer: BatchConfig = BatchConfig()
    loss: LossConfig = NllConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    lora: LoraConfig = LoraConfig()
    learner: LearnerConfig = LearnerConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    bus: BusConfig = SqliteConfig()

    @field_validator("policies", mode="before")
    @classmethod
    def _completed(cls, policies: Any) -> Any:
        return rules.completed(policies)

    @model_validator(mode="after")
    def _can_learn_by_its_policies(self) -> "Recipe":
        rules.check(self)
        return self

    def policy(self, name: str) -> PolicyConfig:
        """What follows under a name; raises `UsageError` with the names there are."""
        known = BUILT_IN | self.policies
        if name not in known:
            raise UsageError(f"there is no policy {name}: there are {', '.join(sorted(known))}")
        return known[name]

    def engine_of(self, policy: PolicyConfig) -> LocalConfig | VllmConfig | ServerConfig:
        return policy.engine or self.engine

    @property
    def policies_of(self) -> dict[str, str]:
        """The policy of every role that generates."""
        return rules.chosen(self)

    @property
    def digest(self) -> str:
        """sha256 of everything that decides what is learned, engines with their places included;
        how the run is laid out, and where its log lies, is not."""
        settings = self.model_dump_json(exclude={"run", "bus"})
        return hashlib.sha256(settings.encode()).hexdigest()

    @property
    def processes(self) -> Processes:
        """The roles of every process: two processes on one machine's log, five on a broker's."""
        if self.run.processes is not None:
            return self.run.processes
        return _TWO if isinstance(self.bus, SqliteConfig) else tuple((role,) for role in ROLES)

    def gone_on_with(self, wanted: "Recipe") -> "Recipe":
        """This recipe with what `wanted`, otherwise the same, says of `run` and `bus`."""
        said = wanted.model_fields_set & {"run", "bus"}
        return self.model_copy(
            update={name: _updated(getattr(self, name), getattr(wanted, name)) for name in said}
        )


def _updated(section: Section, wanted: BaseModel) -> Section:
    said = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    return section.model_copy(update={name: value for name, value in said.items() if value != ""})


def shipped() -> dict[str, Path]:
    """The recipes that come with evolvent, by name."""
    folder = files("evolvent") / "recipes"
    return {
        Path(str(entry)).stem: Path(str(entry))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


def load_recipe(
    name: str, overrides: Sequence[str] | None = None, bus: str | None = None
) -> Recipe:
    """A shipped recipe by name, or a TOML file by path; `bus` is a URL, `overrides` are
    `section.field=value`. Raises `UsageError` with the field, the value and what is allowed.
    """
    path = shipped().get(name, Path(name))
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        names = ", ".join(shipped())
        raise UsageError(f"there is no recipe {name}: name a TOML file or one of {names}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    settings.setdefault("name", path.stem)
    return _recipe(name, settings, overrides, bus)


def changed_recipe(
    recipe: Recipe, overrides: Sequence[str] | None = None, bus: str | None = None
) -> Recipe:
    """`recipe` with other settings, as `load_recipe` takes them; raises `UsageError`."""
    return _recipe(recipe.name, recipe.model_dump(mode="json"), overrides, bus)


def _recipe(
    name: str, settings: dict[str, Any], overrides: Sequence[str] | None, bus: str | None
) -> Recipe:
    if bus is not None:
        _set_bus(settings, bus)
    # Another type starts from its own defaults, so it comes first.
    for override in sorted(overrides or [], key=lambda override: ".type=" not in override):
        _override(settings, override)
    for section, default in _UNIONS.items():
        if default is not None and isinstance(settings.get(section), dict):
            settings[section].setdefault("type", default)
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        raise UsageError(f"recipe {name}: {explain(error)}") from None


def _set_bus(settings: dict[str, Any], url: str) -> None:
    """What the URL says; of the same transport the recipe's other fields stay."""
    try:
        wanted = bus_from_url(url)
    except BusError as error:
        raise UsageError(str(error)) from None
    said = {"type": wanted.type, **wanted.model_dump(exclude_unset=True)}
    own = settings.get("bus")
    if isinstance(own, dict) and own.get("type", "sqlite") == wanted.type:
        said = {**own, **said}
    settings["bus"] = said


_UNIONS = {
    "domain": None,
    "source": "curriculum",
    "engine": "local",
    "judge": "exact",
    "loss": "nll",
    "bus": "sqlite",
}
"""Sections that choose one of several parts by `type`, and what they choose by default."""


def _override(settings: dict[str, Any], override: str) -> None:
    place, equals, text = override.partition("=")
    if not equals or not all(place.split(".")):
        raise UsageError(f"--set {override}: write it as section.field=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, field = place.split(".")
    section = settings
    for name in sections:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise UsageError(f"--set {override}: {name} is not a section")
    if field == "type" and section.get("type", value) != value:
        # Another part: what was set of the first one means nothing to it.
        section.clear()
    section[field] = value


def explain(error: ValidationError) -> str:
    """The first thing wrong, in one sentence: the field, the value, what is allowed."""
    first = error.errors()[0]
    loc = first["loc"]
    if len(loc) > 1 and loc[0] in _UNIONS:
        # Pydantic names the chosen member of a union too; the file does not.
        loc = (loc[0], *loc[2:])
    elif loc[:1] == ("policies",):
        loc = (*loc[:3], *loc[4:])
    place = ".".join(str(part) for part in loc)
    if first["type"] == "extra_forbidden":
        return f"there is no field {place}; {_neighbours(first['loc'])}"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "union_tag_invalid":
        return f"{place}.type = {first['ctx']['tag']!r}: there are {first['ctx']['expected_tags']}"
    message = first["msg"].removeprefix("Value error, ")
    value = first["input"]
    if isinstance(value, dict | BaseModel):
        return f"{place}: {message}" if place else message
    return f"{place} = {value!r}: {message}"


def _neighbours(loc: tuple[int | str, ...]) -> str:
    """The fields that stand where an unknown one was found."""
    model: Any = Recipe
    for part in loc[:-1]:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = fields[str(part)].annotation
            continue
        for member in _models(model):
            tag = member.model_fields.get("type")
            if get_origin(model) is dict or (tag is not None and tag.default == part):
                model = member
    allowed = getattr(model, "model_fields", None)
    return f"there are {', '.join(allowed)}" if allowed else "look at `evolvent recipes --show`"


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models of which an annotation is made."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]
