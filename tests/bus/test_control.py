"""What the operator has said holds until the next word, for every role alike."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.control import ALL, Controls, Operator
from bus.events import Control, derive_id
from bus.memory.bus import MemoryBus
from bus.records import Record

COMMANDS = get_args(Control.model_fields["command"].annotation)
ROLES = ("solver", "critic")


def said(command: str, role: str = ALL, index: int = 0, **changes: object) -> Control:
    return Control.model_validate(
        {
            "id": derive_id("run", "operator", f"{command} {role}", index),
            "run": "run",
            "agent": "operator",
            "command": command,
            "role": role,
            **changes,
        }
    )


def after(*events: Control) -> Controls:
    controls = Controls()
    for event in events:
        controls.take(event)
    return controls


def log_of(*events: Control) -> MemoryBus:
    bus = MemoryBus()
    asyncio.run(bus.publish(events))
    return bus


def test_all_paused_and_one_resumed() -> None:
    controls = after(said("pause"), said("resume", "solver"))
    assert not controls.is_paused("solver")
    assert controls.is_paused("critic") and controls.is_paused("a role of a later recipe")


def test_one_paused_and_all_resumed() -> None:
    controls = after(said("pause", "solver"), said("pause"), said("resume"))
    assert not controls.is_paused("solver") and not controls.is_paused("critic")


def test_a_pause_outlasts_a_start_and_a_stop_does_not() -> None:
    controls = after(said("pause", "solver"), said("stop", "critic"), said("start"))
    assert controls.is_paused("solver")
    assert not controls.is_stopped("critic")


def test_a_resumed_role_is_not_stopped_any_more() -> None:
    controls = after(said("stop"), said("resume", "solver"))
    assert not controls.is_stopped("solver") and controls.is_stopped("critic")


def test_the_last_objective_holds_whatever_is_said_besides() -> None:
    first = said("objective", settings={"advance_at": 0.5})
    last = said("objective", index=1, settings={"advance_at": 0.7})
    assert after().objective is None
    assert after(first, last, said("pause"), said("start")).objective == last


def test_what_a_guard_has_redirected_is_told_until_the_next_objective() -> None:
    redirected = said("objective", guard="floor", reason="it fell")
    stopped = said("stop", "trainer", guard="floor", reason="it fell")
    assert after(redirected, said("start"), said("resume")).warned == redirected
    assert after(redirected, said("objective", index=1)).warned is None
    assert after(stopped, redirected).warned == after(redirected, stopped).warned == stopped


def test_a_guard_of_version_2_gave_its_reason_in_the_settings() -> None:
    before = said("stop", "trainer", settings={"guard": "majority", "reason": "it collapsed"})
    assert after(before).warned == before
    assert before.finding == ("majority", "it collapsed")
    assert said("objective", settings={"reason": "a field of the source"}).finding == ("", "")


@given(st.lists(st.tuples(st.sampled_from(COMMANDS), st.sampled_from((ALL, *ROLES)))))
def test_the_state_is_what_telling_every_role_by_itself_gives(words: list[tuple[str, str]]) -> None:
    """Told one by one, the others that nobody has named among them."""
    everyone = (*ROLES, "other")
    paused, stopped = dict.fromkeys(everyone, False), dict.fromkeys(everyone, False)
    for command, role in words:
        for one in everyone if role == ALL else (role,):
            if command in ("pause", "resume"):
                paused[one] = command == "pause"
            if command in ("stop", "resume"):
                stopped[one] = command == "stop"
        if command == "start":
            stopped = dict.fromkeys(everyone, False)
    controls = after(*(said(command, role) for command, role in words))
    assert {one: controls.is_paused(one) for one in everyone} == paused
    assert {one: controls.is_stopped(one) for one in everyone} == stopped


@pytest.mark.parametrize(("since", "is_off"), [(0, True), (1, True), (2, False)])
def test_stops_from_before_this_start_are_for_others(since: int, is_off: bool) -> None:
    """And pauses are not: a role stays paused whoever takes it over."""
    operator = Operator(since=since)
    operator.read(log_of(said("pause", "solver"), said("stop", "solver")).log)
    switch = operator.switch("solver")
    assert operator.controls.is_stopped("solver") == is_off
    assert not switch.is_open and operator.position == 2


def test_strangers_are_passed_over() -> None:
    bus = log_of(said("pause", "solver"))
    garbage = Record(topic="control", partition=0, offset=-1, key="", headers={}, value=b"?")
    asyncio.run(bus.append([garbage]))
    asyncio.run(bus.publish([said("pause", "critic")]))
    operator = Operator()
    operator.read(bus.log)
    assert operator.position == 3
    assert not operator.switch("solver").is_open and not operator.switch("critic").is_open


def test_reading_again_goes_on_from_where_it_ended() -> None:
    bus = log_of(said("pause", "solver"))
    operator = Operator()
    operator.read(bus.log)
    switch = operator.switch("solver")
    asyncio.run(bus.publish([said("resume", "solver")]))
    operator.read(bus.log)
    assert operator.position == 2
    assert operator.switch("solver") is switch and switch.is_open


def test_a_role_that_nobody_spoke_of_is_on() -> None:
    async def scenario() -> None:
        switch = Operator().switch("solver")
        await asyncio.wait_for(switch.opened(), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(switch.off(), 0.01)

    asyncio.run(scenario())


def test_switches_follow_the_log() -> None:
    """Each role hears what is said to it and to all, and nothing else."""

    async def scenario() -> None:
        bus = MemoryBus()
        await bus.publish([said("pause")])
        operator = Operator()
        operator.read(bus.log)
        solver, critic = operator.switch("solver"), operator.switch("critic")
        following = asyncio.create_task(
            operator.follow(bus.follow("control", start=operator.position))
        )

        async def hear(events: Sequence[Control]) -> None:
            await bus.publish(events)
            async with asyncio.timeout(5):
                while operator.position < bus.heads()["control", 0]:  # noqa: ASYNC110
                    await asyncio.sleep(0)

        assert not solver.is_open and not critic.is_open
        waiting = asyncio.create_task(solver.opened())
        await hear([said("resume", "solver")])
        await asyncio.wait_for(waiting, 5)
        assert solver.is_open and not critic.is_open
        ending = asyncio.create_task(critic.off())
        await hear([said("stop", "solver"), said("evaluate", weights_version=0)])
        await asyncio.wait_for(solver.off(), 5)
        assert not ending.done()
        await hear([said("stop")])
        await asyncio.wait_for(ending, 5)
        await hear([said("start")])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(solver.off(), 0.01)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await bus.close()

    asyncio.run(scenario())
