"""The services of a run, one row each: what they are called, what they read, how they are opened.
Who runs, in which process, and what commands say of it follows from here. What a service needs is
loaded when it is opened.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agents.judges.judge import Judge
    from agents.parts import Parts, RoleConfig
    from bus.bus import Subscription
    from bus.control import Switch
    from bus.runner import Role
    from evolvent.recipe.recipe import Recipe
    from evolvent.workplace import Workplace


class Service(Protocol):
    """Whatever works until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None: ...


Opened = Callable[["Subscription", "Switch"], Service]
"""A service that has all it needs but its share of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One service. `name` is also that of its group, `reads` are the topics it answers, if others
    than those that its group must bring to an end; `uses` are the policies it asks for; of an
    `exclusive` one there is one, and a new one takes over. Whoever `leads` begins the run. `open`
    may take seconds, and runs in a thread."""

    name: str
    does: str
    open: Callable[["Workplace"], Opened]
    reads: tuple[str, ...] = ()
    uses: Callable[["Recipe"], tuple[str, ...]] = lambda recipe: ()
    exclusive: bool = False
    leads: bool = False

    @property
    def topics(self) -> tuple[str, ...]:
        """Those that it answers."""
        from bus.topics import completed_by

        return self.reads or completed_by(self.name)


def _proposer(place: "Workplace") -> Opened:
    from agents.proposer import Proposer

    config = place.recipe.source

    def source(settings: Mapping[str, Any]) -> Any:
        changed = type(config).model_validate({**config.model_dump(), **settings})
        return changed.build(place.parts)

    proposer = Proposer(
        place.parts,
        source,
        named=config.type,
        objective=lambda: place.operator.controls.objective,
        batch=place.recipe.trainer.size,
        ahead=place.recipe.proposer.ahead,
    )
    return _running(place, proposer, "proposer")


def _solver(place: "Workplace") -> Opened:
    from agents.solver import Solver

    recipe = place.recipe
    solver = Solver(place.parts, recipe.sampler.build(place.parts), recipe.solver)
    return _running(place, solver, "solver", recipe.solver.concurrency)


def _critic(place: "Workplace") -> Opened:
    from agents.critic import Critic

    judge, name = build_judge(place.recipe, place.parts)
    critic = Critic(place.parts.run, judge, name)
    return _running(place, critic, "critic", place.recipe.critic.concurrency)


def _evaluator(place: "Workplace") -> Opened:
    from agents.evaluator import Evaluator

    _ = place.parts.serving.engine
    recipe = place.recipe
    return _running(
        place, Evaluator(place.parts, recipe.evaluator, recipe.solver.stop), "evaluator"
    )


def _guard(place: "Workplace") -> Opened:
    from agents.guards.guard import Guards

    return _running(
        place, Guards(place.parts, place.recipe.guards, place.recipe.voted_behind), GUARD
    )


def _archivist(place: "Workplace") -> Opened:
    from evolvent.retention import Retention

    retention = Retention(
        place.recipe.retention,
        place.bus,
        place.parts.log,
        place.path,
        place.parts.run,
        place.voice.say,
    )
    return _running(place, retention, ARCHIVIST)


def _trainer(place: "Workplace") -> Opened:
    from bus.events import Weights
    from evolvent.learning import build_trainer

    rows = services(place.recipe).values()
    readers = [row.name for row in rows if Weights.topic in row.topics]
    return partial(build_trainer, place, readers)


ROWS = (
    Row(
        name="proposer",
        does="asks: every version grants tasks",
        open=_proposer,
        reads=("weights",),
        uses=lambda recipe: recipe.source.uses,
    ),
    Row(
        name="solver",
        does="attempts: a group of samples per task",
        open=_solver,
        uses=lambda recipe: (recipe.solver.policy, *recipe.sampler.uses),
    ),
    Row(
        name="critic",
        does="judges: one verdict per sample",
        open=_critic,
        uses=lambda recipe: tuple(name for judge in recipe.all_judges for name in judge.uses),
    ),
    Row(
        name="evaluator",
        does="measures: held-out suites of chosen versions",
        open=_evaluator,
        reads=("weights", "control"),
    ),
    Row(
        name="trainer",
        does="learns: a batch of judgments makes a version",
        open=_trainer,
        exclusive=True,
        leads=True,
    ),
)
"""The services that every run has, unless its recipe leaves them out."""

NAMES = tuple(row.name for row in ROWS)

GUARD = "guard"
_GUARD = Row(
    name=GUARD,
    does="watches: ends or redirects learning that has gone wrong",
    open=_guard,
    reads=("weights",),
)
"""The service of a run whose recipe has guards."""

ARCHIVIST = "archivist"
_ARCHIVIST = Row(
    name=ARCHIVIST,
    does="keeps: archives what the log says, and trims it",
    open=_archivist,
    reads=("weights",),
    exclusive=True,
)
"""The service of a run whose recipe says that its log is kept short."""


def services(recipe: "Recipe") -> dict[str, Row]:
    """Those of a run, by name, in the order of the loop."""
    rows = [row for row in ROWS if row.name not in recipe.run.without]
    rows += [_GUARD] if recipe.guards else []
    rows += [_ARCHIVIST] if recipe.retention.every_versions else []
    rows += [_row(config) for config in recipe.roles]
    return {row.name: row for row in rows}


def names_in(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The services of a run with these stored settings, by name. Needs none of its plug-ins."""
    added: tuple[str, ...] = (GUARD,) if settings.get("guards") else ()
    added += (ARCHIVIST,) if settings.get("retention", {}).get("every_versions") else ()
    added += tuple(str(role["type"]) for role in settings.get("roles", ()))
    without = settings.get("run", {}).get("without", ())
    return tuple(name for name in NAMES + added if name not in without)


def layout(recipe: "Recipe") -> tuple[tuple[str, ...], ...]:
    """Which services share a process. On one machine's log those that share their work do, on a
    broker's each has its own."""
    if recipe.run.processes is not None:
        return recipe.run.processes
    rows = services(recipe).values()
    alone = [(row.name,) for row in rows if row.exclusive or not recipe.bus.one_machine]
    together = tuple(row.name for row in rows if (row.name,) not in alone)
    return (together, *alone) if together else tuple(alone)


def check(recipe: "Recipe") -> None:
    """Raises `ValueError` for services that there are not, or that nobody or two would serve."""
    from bus.topics import TOPICS

    without, added = recipe.run.without, [config.type for config in recipe.roles]
    if unknown := [name for name in without if name not in NAMES]:
        raise ValueError(f"run.without: there is no role {unknown[0]}: there are {_all(NAMES)}")
    ours = (*NAMES, GUARD, ARCHIVIST)
    if twice := [name for name in added if added.count(name) > 1 or name in ours]:
        raise ValueError(f"roles: there is already a role {twice[0]}")
    for config in recipe.roles:
        if unknown := [topic for topic in config.topics if topic not in TOPICS]:
            raise ValueError(f"roles: {config.type} reads {unknown[0]}, which is no topic")
        if not config.topics:
            raise ValueError(f"roles: {config.type} names no topics to read")
    names = tuple(services(recipe))
    if not names:
        raise ValueError("run.without leaves no role")
    processes = recipe.run.processes
    if processes is not None:
        named = sorted(name for process in processes for name in process)
        if named != sorted(names) or not all(processes):
            raise ValueError(
                f"run.processes = {processes}: name each of {_all(names)} exactly once"
            )


def build_judge(recipe: "Recipe", parts: "Parts") -> tuple["Judge", str]:
    """The one judge of a recipe, or its several as one; and what it is called on the log."""
    from agents.judges.combined import Combined

    configs = recipe.all_judges
    judges = [(config.type, config.build(parts)) for config in configs]
    if len(judges) == 1:
        [(name, judge)] = judges
        return judge, name
    combined = Combined(judges, recipe.critic.combine, recipe.critic.weights)
    return combined, combined.name


def _row(config: "RoleConfig") -> Row:
    return Row(
        name=config.type,
        does=(type(config).__doc__ or "").strip().partition("\n")[0],
        open=lambda place: _running(
            place, config.build(place.parts), config.type, config.concurrency
        ),
        reads=config.topics,
        uses=lambda recipe: config.uses,
        exclusive=config.exclusive,
    )


def _running(place: "Workplace", role: "Role[Any]", name: str, concurrency: int = 1) -> Opened:
    """A role on a runner."""
    from bus.runner import Runner

    return lambda subscription, switch: Runner(
        role,
        subscription,
        group=name,
        run=place.parts.run,
        concurrency=concurrency,
        switch=switch,
        hands=place.hands,
    )


def _all(names: Iterable[str]) -> str:
    return ", ".join(names)
