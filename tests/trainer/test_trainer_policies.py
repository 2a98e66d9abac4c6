"""Two policies that one trainer trains in turn: each goes on from its own last version, whatever
happens to the process between."""

import asyncio
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bus.events import CURRENT, Judgment
from bus.memory.bus import MemoryBus
from tests.trainer.classroom import SIZE, Classroom, Crash, check_exactly_once, crash_at, until
from tests.trainer.lessons import judgment, proposal
from trainer.checkpoint.manifest import DamagedCheckpoint
from trainer.config import CheckpointsConfig
from trainer.phases import PhaseConfig, Phases
from trainer.updates.grpo import GrpoConfig

CHALLENGER = "challenger"
VERSIONS = 7
MOVED = [CURRENT, CHALLENGER, CURRENT, CURRENT, CHALLENGER, CURRENT, CURRENT]


class Duel(Classroom):
    """A challenger learns for one version, whoever answers for two."""

    update = GrpoConfig(proposer_reward="tent")
    phases = Phases(
        (PhaseConfig(policy=CHALLENGER, versions=1), PhaseConfig(policy=CURRENT, versions=2)),
        {CHALLENGER: CHALLENGER},
    )

    async def judge(self, first: int, count: int) -> list[Judgment]:
        """Tasks of the challenger, solved now always, now half the time."""
        made = []
        for index in range(first, first + count):
            said = proposal(index)
            turn = said.turn.model_copy(update={"policy": CHALLENGER})
            rewards = [1.0, float(index % 2)]
            written = said.model_copy(update={"turn": turn})
            made.append(judgment(index, rewards, proposal=written))
        await self.bus.publish(made)
        return made

    def weights(self) -> list[dict[str, Tensor]]:
        return [
            load_file(self.folder / weights.location / "model.safetensors")
            for weights in self.versions()
        ]

    def state(self, number: int) -> dict[str, Tensor]:
        location = self.versions()[number].location
        found: dict[str, Tensor] = load_file(self.folder / location / "state/state.safetensors")
        return found


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def has(room: Duel, version: int) -> bool:
    return room.version_count > version


async def learned(folder: Path, batches: int = VERSIONS - 1) -> tuple[Duel, list[Judgment]]:
    room = Duel(MemoryBus(), folder)
    return room, await room.judge(0, batches * SIZE)


def test_versions_move_the_policies_in_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        room, judged = await learned(tmp_path)
        await room.teach(versions=VERSIONS)
        check_exactly_once(room, judged)
        assert [weights.policy for weights in room.versions()] == MOVED
        steps = [weights.step for weights in room.versions()]
        assert steps == [0, 1, 1, 2, 2, 3, 4], "each policy counts its own"
        found = room.weights()
        assert not any(same(one, other) for one, other in pairwise(found))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "point", [pytest.param("trainer.staged", marks=pytest.mark.long), "trainer.renamed"]
)
def test_a_crash_in_either_phase_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    async def scenario() -> None:
        whole, crashed = (Duel(MemoryBus(), tmp_path / name) for name in ("whole", "crashed"))
        stop = asyncio.Event()
        training = asyncio.ensure_future(whole.train(stop))
        judged: list[Judgment] = []
        for version in range(VERSIONS):
            if version:
                judged += await crashed.judge(100 * version, SIZE)
                await whole.judge(100 * version, SIZE)
            await until(partial(has, whole, version))
            crash_at(monkeypatch, point, 0)
            with pytest.raises(Crash):
                await crashed.teach(versions=version + 1)
            monkeypatch.undo()
            await crashed.teach(versions=version + 1)
        stop.set()
        await training
        check_exactly_once(crashed, judged)
        assert [weights.policy for weights in crashed.versions()] == MOVED
        for ours, theirs in zip(crashed.weights(), whole.weights(), strict=True):
            for name, tensor in ours.items():
                torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-6)

    asyncio.run(scenario())


def test_what_the_policy_at_rest_goes_on_from_is_never_taken(tmp_path: Path) -> None:
    """States and weights of old versions go, but for the last version of each policy."""

    async def scenario() -> None:
        keep = CheckpointsConfig(keep_newest=2, keep_every=0, keep_evaluated=0)
        room = Duel(MemoryBus(), tmp_path, keep=keep)
        room.phases = Phases(
            (PhaseConfig(policy=CHALLENGER, versions=1), PhaseConfig(policy=CURRENT, versions=6)),
            {CHALLENGER: CHALLENGER},
        )
        judged = await room.judge(0, 7 * SIZE)
        await room.teach(versions=8)
        assert room.state(1)
        folders = [tmp_path / weights.location for weights in room.versions()]
        assert not (folders[4] / "model.safetensors").exists()
        judged += await room.judge(100, SIZE)
        await room.teach(versions=9)
        check_exactly_once(room, judged)
        last = room.versions()[-1]
        assert (last.policy, last.step) == (CHALLENGER, 2)

    asyncio.run(scenario())


def test_a_policy_whose_last_version_is_gone_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        room, _ = await learned(tmp_path, batches=3)
        await room.teach(versions=4)
        (tmp_path / room.versions()[1].location / "model.safetensors").unlink()
        with pytest.raises(DamagedCheckpoint, match="v000001"):
            await room.teach(versions=5)

    asyncio.run(scenario())
