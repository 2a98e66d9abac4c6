"""A run that trains two policies: one order of versions, two chains, and what is found there."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bus.events import CURRENT
from bus.sqlite.bus import SqliteBus
from observability.audit.audit import Audit, audit
from observability.audit.facts.chains import Chains, Head, due_by
from tests.observability.audit.audit_faults import (
    audited,
    codes,
    folder_of,
    forge_manifest,
    says,
)
from tests.observability.audit.audited_run import Life, take_all
from trainer.checkpoint.manifest import MANIFEST

CHALLENGER = "challenger"
PHASES = [{"policy": CHALLENGER, "versions": 2}, {"policy": CURRENT, "versions": 1}]
VERSIONS = 6
"""1, 2, 4 and 5 move the challenger, 3 and 6 whoever answers."""


def moves(number: int) -> str:
    return CHALLENGER if number % 3 else CURRENT


async def lived(life: Life, versions: range) -> None:
    for number in versions:
        answers = (number - 1) // 3 * 3
        await life.round(version=answers)
        await life.learn(await take_all(life.trainer))


def make(folder: Path, leave: Path) -> None:
    """No answer may be older than the newest version of whoever answers. A snapshot is left
    half-way, in the second phase of the challenger."""

    async def live() -> None:
        life = Life(folder)
        life.moves = moves
        try:
            await life.start(max_staleness=0, phases=PHASES)
            await lived(life, range(1, 5))
            found = await asyncio.to_thread(audit, life.bus.log, folder, leave=leave)
            assert found.ok, found.violations
            await lived(life, range(5, VERSIONS + 1))
        finally:
            await life.close()

    asyncio.run(live())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    make(folder / "run", folder / "snapshot")
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "run", tmp_path / "run")


def trained(run: Path, number: int) -> Any:
    return json.loads((folder_of(run, number) / MANIFEST).read_text())["trained"][0]


def forge(run: Path, number: int, **said: Any) -> None:
    forge_manifest(run, number, lambda manifest: manifest["weights"].update(said))


def learn_again(run: Path, first: int, second: int) -> str:
    """Version `second` says that it was trained on a judgment of version `first`."""
    one = trained(run, first)
    for number in range(second, VERSIONS + 1):
        more = json.loads((folder_of(run, number) / MANIFEST).read_text())["weights"]["consumed"]
        forge(run, number, consumed=more + 1)
    forge_manifest(run, second, lambda manifest: manifest["trained"].append(one))
    return str(one["id"])


def test_two_chains_are_whole_though_the_answers_are_of_versions_ago(run: Path) -> None:
    found = audited(run)
    assert found.violations == []
    assert found.counts["versions"] == VERSIONS + 1


@pytest.mark.parametrize(("first", "second"), [(1, 5), (3, 6), (2, 6)])
def test_a_judgment_is_learned_from_once_in_each_chain_and_in_both(
    run: Path, first: int, second: int
) -> None:
    """Twice by the challenger, twice by whoever answers, once by each."""
    learned = learn_again(run, first, second)
    found = audited(run)
    assert found.counts["trained_twice"] == 1
    assert "I2" in codes(found)
    assert says(found, "I2", learned, f"trained by version {first}", f"by version {second}")


def test_a_version_that_moves_another_policy_than_the_phases_say(run: Path) -> None:
    forge(run, 5, policy=CURRENT)
    assert says(audited(run), "I3", "version 5", "'current', the recipe says 'challenger'")


def test_a_step_that_is_taken_back_in_one_chain(run: Path) -> None:
    """The other chain has come further: only its own version before it counts."""
    for number, step in ((1, 10), (2, 20), (3, 1), (4, 30), (5, 40), (6, 2)):
        forge(run, number, step=step)
    assert audited(run).violations == []
    forge(run, 4, step=19)
    assert says(audited(run), "I3", "version 4", "at step 19, version 2 at 20")


def test_an_answer_that_whoever_answers_has_left_behind(tmp_path: Path) -> None:
    async def live() -> None:
        life = Life(tmp_path / "run")
        life.moves = moves
        try:
            await life.start(max_staleness=0, phases=PHASES)
            await lived(life, range(1, 5))
            await life.round(version=2)
            await life.learn(await take_all(life.trainer))
        finally:
            await life.close()

    asyncio.run(live())
    found = audited(tmp_path / "run")
    assert says(found, "I11", "version 5", "drawn by version 2: 1 versions old")


@pytest.mark.parametrize(("number", "lacks"), [(5, True), (3, False)])
def test_the_policy_at_rest_keeps_what_it_goes_on_from(run: Path, number: int, lacks: bool) -> None:
    shutil.rmtree(folder_of(run, number) / "state")
    assert says(audited(run), "I3", f"v{number:06d}", "'challenger' goes on") is lacks


def test_an_audit_goes_on_from_one_in_the_middle_of_a_phase(made: Path, run: Path) -> None:
    def since() -> Audit:
        bus = SqliteBus(run / "log.sqlite", read_only=True)
        try:
            return audit(bus, run, since=made / "snapshot")
        finally:
            asyncio.run(bus.close())

    assert since().ok
    forge(run, 5, step=39)
    assert says(since(), "I3", "version 5", "its parent at 40")
    learned = learn_again(run, 2, 6)
    assert says(since(), "I2", learned, "trained by version 2", "by version 6")


def test_ages_are_those_that_counting_finds() -> None:
    chains = Chains()
    for number in range(12):
        chains.add(moves(number), Head(number, 1, number))
    for drawn in range(12):
        for newest in range(drawn, 12):
            counted = sum(moves(one) == CURRENT for one in range(drawn + 1, newest + 1))
            assert chains.age(drawn, newest) == counted
    assert (chains.heads[CHALLENGER].number, chains.heads[CURRENT].number) == (11, 9)


def test_a_recipe_without_phases_trains_one_policy() -> None:
    assert {due_by({}, number) for number in range(4)} == {CURRENT}
    assert [due_by({"phases": PHASES}, number) for number in range(7)] == list(map(moves, range(7)))
    assert due_by({"phases": [{"policy": "a"}]}, 1) is None
