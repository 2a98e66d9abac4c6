"""More solvers than partitions (4, the number of this log): those beyond get nothing to do, and
nothing says so."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, run_case, task

MEMBERS, TASKS, TURNS = 8, 1000, 5


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import BusError, SqliteBus

    bus = SqliteBus(folder / "log.sqlite")
    await bus.publish([task(number) for number in range(TASKS)])
    members = [bus.subscribe(["tasks"], "solver", f"solver-{number}") for number in range(MEMBERS)]
    had, said = [0] * MEMBERS, [""] * MEMBERS
    for _ in range(TURNS):
        for number, member in enumerate(members):
            if said[number]:
                continue
            try:
                taken = await member.take(10, 1.0)
            except BusError as error:
                said[number] = str(error)
                await member.close()
                continue
            had[number] += len(taken)
            await member.complete(taken, [])
    idle = had.count(0)
    silent = [number for number in range(MEMBERS) if not had[number] and not said[number]]
    worked = [number for number in range(MEMBERS) if had[number] and said[number]]
    for number, member in enumerate(members):
        if not said[number]:
            await member.close()
    await bus.close()
    words = f"of {MEMBERS} solvers {idle} got nothing while {TASKS - sum(had)} tasks wait: {had}"
    if silent or worked:
        return FAULT, f"{words}; silent {silent}, ended though they worked {worked}"
    ends = f"; each of them ended and said: {next(filter(None, said))}" if idle else ""
    return HOLDS, words + ends


if __name__ == "__main__":
    run_case(case)
