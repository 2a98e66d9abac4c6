"""Try a version: with inputs of your own, or on the held-out suites. Only reads a run."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents.domains.domain import Domain, NotATask, Problem
from agents.engines.engine import EngineUnusable, SwapRefused, Unservable
from agents.evaluator import Evaluator, answer_to
from bus.events import CURRENT, Evaluation, Weights
from bus.log import Log
from bus.versions import Versions
from evolvent.ask.server import AskedServer, NotServed, named_server, running_server
from evolvent.errors import UsageError
from evolvent.run.folder import RunFolder
from evolvent.voice import LogVoice
from evolvent.workplace import Workplace
from trainer.checkpoint.manifest import is_thinned, nearest_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a version said. `expected` is None where nobody knows the answer."""

    version: int
    prompt: str
    completion: str
    expected: str | None
    correct: bool | None


def version_named(name: str) -> int | None:
    """As a command names a version, None for the newest. Raises `UsageError`."""
    if name == "newest":
        return None
    if not name.isdecimal():
        raise UsageError(f"--version {name}: name a version by its number, or newest")
    return int(name)


async def ask(
    folder: RunFolder,
    inputs: list[str],
    versions: list[int | None],
    family: str | None,
    *,
    raw: bool = False,
    server: str | None = None,
) -> list[Answer]:
    """Greedy answers, version by version. None, and no `versions`, means the newest.

    The server at `server` is asked, else one that runs beside the run, else versions are loaded
    here. `raw` inputs are what the model reads, letter by letter.
    """
    async with opened(folder) as place:
        problems = _posed(place.parts.domain, inputs, family, raw)
        log, answers = place.bus.log, []
        wanted = versions or [None]
        chosen = [await asyncio.to_thread(find_answering, folder, log, number) for number in wanted]
        if server is not None:
            asked: AskedServer | None = await asyncio.to_thread(named_server, server, log)
        else:
            asked = await asyncio.to_thread(running_server, folder.path, log)
        for weights in chosen:
            try:
                answers += await asyncio.to_thread(_told, asked, place, weights, problems)
            except NotServed as error:
                if server is not None:
                    raise UsageError(str(error)) from None
                answers += await _answers(place, weights, problems)
    return answers


def _told(
    asked: AskedServer | None, place: Workplace, weights: Weights, problems: Sequence[Problem]
) -> list[Answer]:
    """What a server answers. Raises `NotServed`."""
    if asked is None:
        raise NotServed("no server of this run is there")
    domain, answers = place.parts.domain, []
    for problem in problems:
        room, stop = domain.max_answer_tokens(problem.level), place.recipe.solver.stop
        text, ended = asked.answer(weights.number, problem.prompt, room, stop)
        answers.append(_judged(domain, problem, text, ended, weights.number))
    return answers


def _posed(domain: Domain, inputs: list[str], family: str | None, raw: bool) -> list[Problem]:
    if family is not None and family not in domain.families:
        names = ", ".join(domain.families)
        raise UsageError(f"there is no family {family} in this run: there are {names}")
    if raw:
        chosen = family or domain.families[0]
        return [_raw(chosen, domain.levels[-1], text) for text in inputs]
    try:
        return [domain.pose(text, family) for text in inputs]
    except NotATask as error:
        raise UsageError(str(error)) from None


def _raw(family: str, level: int, text: str) -> Problem:
    return Problem(family=family, level=level, prompt=text, question=text, answer="")


async def _answers(place: Workplace, weights: Weights, problems: Sequence[Problem]) -> list[Answer]:
    domain, stop, answers = place.parts.domain, place.recipe.solver.stop, []
    try:
        async with place.parts.serving(weights) as engine:
            for problem in problems:
                text, ended, version = await answer_to(engine, domain, problem, stop)
                answers.append(_judged(domain, problem, text, ended, version))
    except (SwapRefused, EngineUnusable, Unservable) as error:
        raise UsageError(str(error)) from None
    return answers


def _judged(domain: Domain, problem: Problem, text: str, ended: bool, version: int) -> Answer:
    known = bool(problem.answer)
    return Answer(
        version=version,
        prompt=problem.prompt,
        completion=text,
        expected=problem.answer or None,
        correct=domain.score(problem, text, ended).right if known else None,
    )


async def evaluate(folder: RunFolder, version: int | None, count: int | None) -> Evaluation:
    """Score a version on the held-out suites, `count` problems a level."""
    async with opened(folder) as place:
        config = place.recipe.evaluator
        if count is not None:
            config = config.model_copy(update={"count": count})
        weights = await asyncio.to_thread(find_answering, folder, place.bus.log, version)
        evaluator = Evaluator(place.parts, config, place.recipe.solver.stop)
        try:
            return await evaluator.evaluate(weights)
        except (SwapRefused, EngineUnusable, ValueError) as error:
            raise UsageError(str(error)) from None


def find_weights(log: Log, number: int | None) -> Weights:
    """The event of a version, None meaning the newest; raises `UsageError`."""
    versions = Versions(log)
    newest = versions.newest()
    if newest is None:
        raise UsageError("the run has no version yet: let it run a little longer")
    found = newest if number is None else versions.numbered(number)
    if found is None:
        raise UsageError(f"there is no version {number}: there are 0 to {newest.number}")
    return found


def find_whole(folder: RunFolder, log: Log, number: int | None) -> Weights:
    """The event of a version whose weights are there, None meaning the newest; raises
    `UsageError` with the nearest ones."""
    return _whole(folder, find_weights(log, number))


def find_answering(folder: RunFolder, log: Log, number: int | None) -> Weights:
    """The same of the weights that answer at a version, where a run trains several policies."""
    return _whole(folder, Versions(log).moved(find_weights(log, number), CURRENT))


def _whole(folder: RunFolder, weights: Weights) -> Weights:
    if is_thinned(folder.path / weights.location):
        nearest = " and ".join(map(str, nearest_whole(folder.path, weights.number)))
        raise UsageError(
            f"the weights of version {weights.number} were thinned out, as [checkpoints] says: "
            f"the nearest that are there are those of {nearest}"
        )
    return weights


@asynccontextmanager
async def opened(folder: RunFolder) -> AsyncIterator[Workplace]:
    """What it takes to try versions of a run."""
    recipe, run_id = folder.recipe(), folder.run_id
    async with folder.log() as bus:
        place = Workplace(folder.path, run_id, recipe, bus, LogVoice())
        try:
            yield place
        finally:
            await asyncio.shield(place.close())
