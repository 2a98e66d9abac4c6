"""A recipe: the settings of every part of a run. Loads no part and no torch."""

from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agents.critic import CriticConfig
from agents.domains.config import DomainConfig
from agents.engines.config import EngineConfig, LocalConfig
from agents.evaluator import EvaluatorConfig
from agents.guards.config import AnyGuardConfig
from agents.judges.config import JudgeConfig
from agents.judges.exact import ExactConfig
from agents.judges.vote import VoteConfig
from agents.parts import PartConfig, RoleConfig
from agents.policies.config import BUILT_IN, PolicyConfig
from agents.proposer import ProposerConfig
from agents.samplers.config import SamplerConfig
from agents.samplers.single import SingleConfig
from agents.solver import SolverConfig
from agents.sources.config import SourceConfig
from agents.sources.curriculum import CurriculumConfig
from bus.config import BusConfig, SqliteConfig
from bus.hands import HANDLE_SECONDS
from evolvent.errors import UsageError
from evolvent.recipe.digest import digest_of, operated_as
from evolvent.reserve import DiskConfig
from evolvent.retention import RetentionConfig
from observability.exporters.config import CurvesConfig, NotifyConfig
from trainer.batch import BatchConfig
from trainer.config import (
    CheckpointsConfig,
    LearnerConfig,
    LoraConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    WarmupConfig,
)
from trainer.filters.config import FilterConfig
from trainer.filters.everything import AllConfig
from trainer.phases import PhaseConfig
from trainer.updates.config import UpdateConfig
from trainer.updates.nll import NllConfig

_GONE_ON_WITH = frozenset({"run", "bus", "checkpoints", "disk", "retention", "curves", "notify"})
Processes = tuple[tuple[str, ...], ...]
MethodFamily = Literal["self-training", "self-play", "self-improving", "self-instruct"]
Section = TypeVar("Section", bound=BaseModel)


class RunConfig(BaseModel):
    """`budget_seconds` of evolution per start; `without` names the roles that this run leaves out;
    `processes` lists the roles that share a process, None leaves that to the bus; `keep_states`
    checkpoints keep what training resumes from. Whatever a role works on for over `handle_seconds`
    ends its process."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    budget_seconds: float = Field(default=90.0, gt=0)
    without: tuple[str, ...] = ()
    processes: Processes | None = None
    keep_states: int = Field(default=3, gt=0)
    handle_seconds: float = Field(default=HANDLE_SECONDS, gt=0)


class Recipe(BaseModel):
    """All settings of a run; every section is the configuration of one part. Several `judges`
    stand in the place of one `judge`; `phases` train several policies in turn; `guards` end or
    redirect a run that has gone wrong; `roles` come from plug-ins, beside those of every run.
    `family` and `paper` say which way of self-evolution it is, and where that was published."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    role_types: ClassVar[tuple[str, ...]] = ()

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str
    family: MethodFamily | None = None
    paper: str = ""
    seed: int = 1
    run: RunConfig = RunConfig()
    domain: DomainConfig
    model: ModelConfig = ModelConfig()
    warmup: WarmupConfig = WarmupConfig()
    source: SourceConfig = CurriculumConfig()
    proposer: ProposerConfig = ProposerConfig()
    engine: EngineConfig = LocalConfig()
    policies: dict[str, PolicyConfig] = Field(default_factory=dict)
    solver: SolverConfig = SolverConfig()
    sampler: SamplerConfig = SingleConfig()
    judge: JudgeConfig = ExactConfig()
    judges: tuple[JudgeConfig, ...] = ()
    critic: CriticConfig = CriticConfig()
    trainer: BatchConfig = BatchConfig()
    filter: FilterConfig = AllConfig()
    loss: UpdateConfig = NllConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    lora: LoraConfig = LoraConfig()
    learner: LearnerConfig = LearnerConfig()
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    disk: DiskConfig = DiskConfig()
    retention: RetentionConfig = RetentionConfig()
    curves: CurvesConfig = CurvesConfig()
    notify: NotifyConfig = NotifyConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    phases: tuple[PhaseConfig, ...] = ()
    guards: tuple[AnyGuardConfig, ...] = ()
    roles: tuple[RoleConfig, ...] = ()
    bus: BusConfig = SqliteConfig()

    @field_validator("policies", mode="before")
    @classmethod
    def _completed(cls, policies: Any) -> Any:
        """Policies as written, with what goes without saying."""
        if not isinstance(policies, dict):
            return policies
        return {name: _completed(name, policy) for name, policy in policies.items()}

    @field_validator("roles", mode="before")
    @classmethod
    def _of_known_types(cls, roles: Any) -> Any:
        for role in roles if isinstance(roles, list | tuple) else ():
            named = role.get("type") if isinstance(role, dict) else getattr(role, "type", None)
            if named not in cls.role_types:
                known = ", ".join(map(repr, cls.role_types)) or "none: they come from plug-ins"
                raise ValueError(f"there is no role of type {named!r}: there are {known}")
        return roles

    @model_validator(mode="after")
    def _judges_fit(self) -> "Recipe":
        if self.judges and self.judge != type(self).model_fields["judge"].default:
            raise ValueError("name one judge, or several judges, not both")
        if self.critic.weights and len(self.critic.weights) != len(self.judges):
            raise ValueError(
                f"critic.weights has {len(self.critic.weights)} weights for "
                f"{len(self.judges)} judges"
            )
        return self

    @property
    def base(self) -> str:
        """What its model is called where it is watched, before it has learned anything."""
        return self.model.path.name if self.model.path is not None else self.name

    def policy(self, name: str) -> PolicyConfig:
        """What follows under a name; raises `UsageError` with the names there are."""
        known = self.all_policies
        if name not in known:
            raise UsageError(f"there is no policy {name}: there are {', '.join(sorted(known))}")
        return known[name]

    @property
    def all_policies(self) -> dict[str, PolicyConfig]:
        """Those that every recipe has, those that are trained, and those that it names."""
        trained = {one.policy: PolicyConfig(chain=one.policy) for one in self.phases}
        return trained | BUILT_IN | self.policies

    @property
    def chains(self) -> dict[str, str]:
        """Whose weights every policy has, where several are trained."""
        return {name: policy.chain for name, policy in self.all_policies.items()}

    def engine_of(self, policy: PolicyConfig) -> EngineConfig:
        return policy.engine or self.engine

    @property
    def all_judges(self) -> tuple[JudgeConfig, ...]:
        return self.judges or (self.judge,)

    @property
    def voted_behind(self) -> str:
        """Behind which text those answers are compared that are voted on."""
        return next((one.behind for one in self.all_judges if isinstance(one, VoteConfig)), "")

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The policies of every section that generates."""
        judged = dict.fromkeys(name for judge in self.all_judges for name in judge.uses)
        found = {
            "solver": (self.solver.policy,),
            "source": self.source.uses,
            "sampler": self.sampler.uses,
            "judges" if self.judges else "judge": tuple(judged),
            "roles": tuple(dict.fromkeys(name for role in self.roles for name in role.uses)),
        }
        return {section: names for section, names in found.items() if names}

    @property
    def shown_roles(self) -> tuple[PartConfig, ...]:
        """The parts that have a model do more than the task, which a warm-up can show."""
        parts: tuple[PartConfig, ...] = (self.source, self.sampler, *self.all_judges)
        return tuple(part for part in parts if part.shows)

    @property
    def digest(self) -> str:
        """sha256 of what decides learning and differs from its default: no device, no place, and
        nothing of how the run is laid out and operated."""
        return digest_of(self)

    def as_before(self) -> "Recipe":
        """What this recipe meant when defaults were others: a run that was started then goes on
        with it."""
        return self.model_copy(update={"model": self.model.as_before()})

    def without_commands(self) -> "Recipe":
        """As a folder has it whose commands are not run: it may be somebody else's."""
        notify = self.notify.model_copy(update={"command": ()})
        return self.model_copy(update={"notify": notify})

    def gone_on_with(self, wanted: "Recipe") -> "Recipe":
        """This recipe with what `wanted`, otherwise the same, says of how and where it is run."""
        said = wanted.model_fields_set & _GONE_ON_WITH
        update: dict[str, Any] = {
            name: _updated(getattr(self, name), getattr(wanted, name)) for name in said
        }
        if "guards" in wanted.model_fields_set:
            update["guards"] = wanted.guards
        return operated_as(self, wanted).model_copy(update=update)


def _completed(name: str, policy: Any) -> Any:
    if not isinstance(policy, dict):
        return policy
    if name in BUILT_IN and policy.get("follow", name) != name:
        raise ValueError(f"what follows {policy['follow']} cannot be called {name}")
    if isinstance(engine := policy.get("engine"), dict):
        policy = {**policy, "engine": {"type": "local", **engine}}
    return {"follow": name, **policy} if name in BUILT_IN else policy


def _updated(section: Section, wanted: BaseModel) -> Section:
    said = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    return section.model_copy(update={name: value for name, value in said.items() if value != ""})
