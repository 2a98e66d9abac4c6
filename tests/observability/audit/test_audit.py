"""Nothing is found in a run without a fault, at rest or live, and the counts are right."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents.engines.engine import SwapRefused
from agents.engines.scripted import ScriptedEngine
from agents.policies.follower import PolicyFollower
from bus.sqlite.bus import SqliteBus
from observability.audit.audit import audit
from tests.observability.audit.audit_faults import audited
from tests.observability.audit.audited_run import TASKS, VERSIONS, Life, make, take_all
from trainer.checkpoint.manifest import CHECKPOINTS


def test_a_whole_run_has_no_violation_and_the_right_counts(run: Path) -> None:
    found = audited(run)
    assert found.violations == [] and found.ok
    tasks = TASKS * VERSIONS
    expected = {
        "events/tasks": tasks + 2,
        "events/attempts": tasks - 1,
        "events/judgments": tasks - 2,
        "events/weights": VERSIONS + 1,
        "versions": VERSIONS + 1,
        "checkpoints": VERSIONS + 1,
        "epochs": 2,
        "trained": tasks - 2,
        "dead_letters": 2,
        "dropped": VERSIONS + 2,
        "pending/tasks": 2,
        "files_checked": 3 * (VERSIONS + 1),
        "orphans": 0,
        "unpublished": 0,
        "lost": 0,
        "duplicated": 0,
        "trained_twice": 0,
        "violations": 0,
    }
    assert {name: found.counts.get(name) for name in expected} == expected


def test_an_unpublished_newest_checkpoint_is_no_fault(tmp_path: Path) -> None:
    async def script(life: Life) -> None:
        await life.live(2)
        await life.round()
        await life.learn(await take_all(life.trainer), publish=False)

    found = audited(make(tmp_path / "run", script))
    assert found.violations == []
    assert found.counts["unpublished"] == 1
    assert found.counts["versions"] == 3


def test_a_version_that_two_processes_refused_is_no_fault(run: Path) -> None:
    """Both say so, under one id; the log has it once."""

    async def refuse() -> None:
        bus = SqliteBus(run / "log.sqlite")
        own = ScriptedEngine(lambda prompt, version, random: "")
        with pytest.raises(SwapRefused):
            await PolicyFollower(bus, own, run, lambda swap: None).run()
        await bus.close()

    [newest] = run.glob(f"{CHECKPOINTS}/v{VERSIONS:06d}-*")
    damaged = next(path for path in sorted(newest.iterdir()) if path.suffix == ".safetensors")
    content = damaged.read_bytes()
    damaged.write_bytes(b"other")
    asyncio.run(refuse())
    asyncio.run(refuse())
    damaged.write_bytes(content)
    found = audited(run)
    assert found.violations == []
    assert found.counts["events/promotions"] == 1


def test_what_a_group_owes_that_never_subscribed_is_pending(tmp_path: Path) -> None:
    """A recipe may leave a service out: nobody judges, and the trainer learns from nothing."""

    async def script(life: Life) -> None:
        for _ in range(2):
            await life.round()
            await life.learn(await take_all(life.trainer))

    found = audited(make(tmp_path / "run", script, has_critic=False))
    assert found.violations == []
    expected = {"pending/attempts": 2 * TASKS, "events/judgments": 0, "trained": 0, "lost": 0}
    assert {name: found.counts.get(name) for name in expected} == expected
    assert "pending/tasks" not in found.counts


def test_a_run_without_any_version_is_no_fault(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "log.sqlite")
    asyncio.run(bus.close())
    found = audited(tmp_path)
    assert found.violations == []
    assert found.counts["events"] == 0


def test_a_live_run_raises_no_false_alarm(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    async def live() -> int:
        life = Life(folder)
        await life.start()
        audits = 0
        writer = asyncio.create_task(life.live(12))
        while not writer.done():
            found = await asyncio.to_thread(audited, folder)
            assert found.violations == []
            audits += 1
        await writer
        await life.close()
        return audits

    assert asyncio.run(live()) >= 2
    assert audited(folder).counts["versions"] == 13


def test_a_live_run_moving_between_any_two_steps_of_the_audit(tmp_path: Path) -> None:
    """Every reading of the log lets the run go on by a whole version before it returns."""
    folder = tmp_path / "run"

    class Moving:
        def __init__(self, bus: SqliteBus, life: Life, loop: asyncio.AbstractEventLoop) -> None:
            self._bus, self._life, self._loop = bus, life, loop
            self.moves = 0

        def _move(self) -> None:
            self.moves += 1
            asyncio.run_coroutine_threadsafe(self._life.live(1), self._loop).result()

        def __getattr__(self, name: str) -> Any:
            wanted = getattr(self._bus, name)

            def moving(*given: Any) -> Any:
                if self.moves < 8 or name == "heads":
                    self._move()
                found = wanted(*given)
                if name == "heads":
                    self._move()
                return found

            return moving

    async def live() -> int:
        life = Life(folder)
        await life.start()
        reader = SqliteBus(folder / "log.sqlite", read_only=True)
        moving: Any = Moving(reader, life, asyncio.get_running_loop())
        found = await asyncio.to_thread(audit, moving, folder)
        assert found.violations == []
        await reader.close()
        await life.close()
        return int(moving.moves)

    assert asyncio.run(live()) >= 8
