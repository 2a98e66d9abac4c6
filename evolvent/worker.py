"""One process of a run: some roles on one event loop, one compute thread. `python -m
evolvent.worker RUN ROLE…` is started by the supervisor and ends when its standard input does.

    bus -> Runner(role) -> bus        Policies: follower -> engine <- solver, proposer
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from agents.critic import Critic
from agents.domains.domain import Domain
from agents.engines.config import in_process
from agents.engines.engine import Engine, SwapRefused
from agents.evaluator import Evaluator
from agents.policies.follower import PolicyFollower
from agents.policies.policy import Policies, ServedPolicy
from agents.proposer import Proposer, last_curriculum
from agents.solver import Solver
from agents.sources.curriculum import Curriculum, CurriculumConfig
from agents.sources.learned import Learned, LearnedConfig
from agents.sources.source import Source
from agents.sources.uniform import Uniform
from bus.bus import Bus, Subscription
from bus.errors import Fenced
from bus.events import Task, Weights
from bus.runner import Rejected, Role, Runner
from evolvent.process import Expired, exit_code, log_to_stderr
from evolvent.recipe.recipe import Recipe
from evolvent.run.folder import RunFolder
from evolvent.run.log import reached
from evolvent.voice import JsonVoice, SayingHandler, Voice

# As the main module it would have a name that no setting of ours reaches.
_log = logging.getLogger("evolvent.worker")


class Worker:
    """The roles of one process, built from the recipe. They share a thread, and the engine of a
    policy that several of them name.

    `member` names the process in the groups of its roles; without it, it has the group's name.
    `arrived` waits for the files of a version where they may come later than its event.
    """

    def __init__(
        self,
        folder: RunFolder,
        bus: Bus,
        voice: Voice,
        *,
        member: str = "",
        arrived: Callable[[Weights], Awaitable[None]] | None = None,
    ) -> None:
        self._folder = folder
        self._member, self._arrived = member, arrived
        self._recipe: Recipe = folder.recipe()
        self._run = folder.run_id
        self._bus = bus
        self._voice = voice
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._domain: Domain = self._recipe.domain.build()
        self._policies = Policies(self._policy)

    def _policy(self, name: str) -> ServedPolicy:
        config = self._recipe.policy(name)
        engine = self._recipe.engine_of(config).build(self._executor, self._recipe.seed)
        follower = PolicyFollower(
            self._bus,
            engine,
            self._folder.path,
            partial(self._voice.swapped, name),
            self._arrived,
            due=config.due,
        )
        return ServedPolicy(engine=engine, follower=follower)

    @cached_property
    def _measured(self) -> Engine:
        """The evaluator's engine. It serves any version, and so is in this process."""
        return self._in_process()

    def _in_process(self) -> Engine:
        return in_process(self._recipe.engine).build(self._executor, self._recipe.seed)

    async def run(self, roles: Iterable[str], stop: asyncio.Event) -> None:
        """Serve until `stop`; whatever a role raises ends the process."""
        roles = list(roles)
        policies = [name for role, name in self._recipe.policies_of.items() if role in roles]
        # What takes seconds to load comes before work is taken over; whoever was told to stop
        # meanwhile, or lost its supervisor, takes nothing from its successor.
        await asyncio.to_thread(self._load, roles, policies)
        if stop.is_set():
            return
        _log.info("serving %s", ", ".join(roles))
        generates = policies or "evaluator" in roles
        if generates and not (await asyncio.to_thread(self._bus.heads))["weights", 0]:
            _log.info("waiting for version 0")
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._policies.run())
            serving = [group.create_task(self._serve(role, stop)) for role in roles]
            await asyncio.gather(*serving)
            following.cancel()
        await self._policies.close()
        _log.info("stopped")

    def _load(self, roles: Sequence[str], policies: Sequence[str]) -> None:
        """Import the libraries of what is served here, build what it shares."""
        if "trainer" in roles:
            import evolvent.learning  # noqa: F401
        if roles == ["trainer"]:
            return
        for name in policies:
            _ = self._policies[name]
        if "evaluator" in roles:
            _ = self._measured
        for family in self._domain.families:
            for level in self._domain.levels:
                self._domain.held_out(family, level, 1)

    async def _serve(self, role: str, stop: asyncio.Event) -> None:
        serve = {
            "proposer": self._serve_proposer,
            "solver": self._serve_solver,
            "critic": self._serve_critic,
            "evaluator": self._serve_evaluator,
            "trainer": self._serve_trainer,
        }
        try:
            await serve[role](stop)
        except Fenced as error:
            # Whoever was only silent for too long joins again; a successor is left alone.
            members = await asyncio.to_thread(self._bus.members, role)
            if role == "trainer" or (self._member or role) in members:
                raise
            raise Expired(str(error)) from None

    async def _serve_proposer(self, stop: asyncio.Event) -> None:
        proposer = Proposer(
            run=self._run,
            seed=self._recipe.seed,
            domain=self._domain.name,
            source=self._source(),
            batch=self._recipe.trainer.size,
            ahead=self._recipe.proposer.ahead,
            last=lambda: last_curriculum(self._bus),
        )
        async with self._subscription(["weights"], "proposer") as subscription:
            await self._run_role(proposer, subscription, "proposer", 1, stop)

    async def _serve_solver(self, stop: asyncio.Event) -> None:
        policy = self._policies[self._recipe.solver.policy]
        solver = Solver(
            self._run,
            policy.engine,
            policy.follower,
            self._recipe.solver,
            self._domain.max_answer_tokens,
        )
        async with self._subscription(["tasks"], "solver") as subscription:
            await self._run_role(
                solver, subscription, "solver", self._recipe.solver.concurrency, stop
            )

    async def _serve_critic(self, stop: asyncio.Event) -> None:
        critic = Critic(self._run, self._recipe.judge.build(self._domain, self._recipe.seed))
        async with self._subscription(["attempts"], "critic") as subscription:
            await self._run_role(critic, subscription, "critic", 128, stop)

    async def _serve_evaluator(self, stop: asyncio.Event) -> None:
        evaluator = Evaluator(
            run=self._run,
            domain=self._domain,
            config=self._recipe.evaluator,
            serve=self._serving,
            bus=self._bus,
        )
        async with self._subscription(["weights", "control"], "evaluator") as subscription:
            await self._run_role(evaluator, subscription, "evaluator", 1, stop)
        await self._measured.close()

    async def _serve_trainer(self, stop: asyncio.Event) -> None:
        from evolvent.learning import build_trainer
        from trainer.trainer import GROUP, TOPICS

        async with self._subscription(list(TOPICS), GROUP, exclusive=True) as subscription:
            trainer = build_trainer(
                self._folder,
                self._recipe,
                self._bus,
                subscription,
                self._executor,
                self._voice.progress,
            )
            await trainer.run(stop)

    @asynccontextmanager
    async def _serving(self, weights: Weights) -> AsyncIterator[Engine]:
        """The evaluator's engine at exactly this version; for an older one, another."""
        if self._arrived is not None:
            await self._arrived(weights)
        engine = self._measured if weights.number >= self._measured.version else self._in_process()
        try:
            await engine.swap(weights.number, self._folder.path / weights.location, weights.files)
            yield engine
        except SwapRefused as refused:
            raise Rejected(str(refused)) from None
        finally:
            if engine is not self._measured:
                await engine.close()

    def _source(self) -> Source:
        config = self._recipe.source
        if isinstance(config, CurriculumConfig):
            return Curriculum(self._domain, config)
        if isinstance(config, LearnedConfig):
            policy = self._policies[config.policy]
            return Learned(self._domain, config, policy.engine, policy.follower, self._asked)
        return Uniform(self._domain)

    def _asked(self, count: int) -> Iterable[str]:
        """The prompts of about the last `count` tasks on the log."""
        heads = {part: end for (topic, part), end in self._bus.heads().items() if topic == "tasks"}
        share = count // len(heads)
        for partition, end in heads.items():
            for record in self._bus.read("tasks", partition, max(0, end - share), end):
                task = record.event()
                if isinstance(task, Task):
                    yield task.prompt

    def _subscription(
        self, topics: list[str], group: str, *, exclusive: bool = False
    ) -> Subscription:
        # A role that starts again under its name takes over at once, without waiting for a lease.
        return self._bus.subscribe(topics, group, self._member or group, exclusive=exclusive)

    async def _run_role(
        self,
        role: Role[Any],
        subscription: Subscription,
        group: str,
        concurrency: int,
        stop: asyncio.Event,
    ) -> None:
        runner = Runner(role, subscription, group=group, run=self._run, concurrency=concurrency)
        await runner.run(stop)


@asynccontextmanager
async def _until_input_ends() -> AsyncIterator[asyncio.Event]:
    """An event that is set when standard input ends: the supervisor said stop, or is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ended() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    loop.add_reader(sys.stdin.fileno(), ended)
    yield stop
    loop.remove_reader(sys.stdin.fileno())


async def serve(path: Path, roles: list[str], voice: Voice) -> None:
    folder = RunFolder(path)
    config = folder.recipe().bus
    async with _until_input_ends() as stop:
        bus = await reached(lambda: folder.build_log(config, writable=True), stop)
        if bus is not None:
            try:
                await Worker(folder, bus, voice).run(roles, stop)
            finally:
                await bus.close()


def main() -> int:
    """A process of `evolvent run`."""
    voice = JsonVoice()
    log_to_stderr(SayingHandler(voice))
    return exit_code(serve(Path(sys.argv[1]), sys.argv[2:], voice), voice)


if __name__ == "__main__":
    sys.exit(main())
