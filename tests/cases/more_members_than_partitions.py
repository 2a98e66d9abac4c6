"""More solvers than partitions (4, fixed for the life of a run): those beyond get nothing to do,
and nothing says so."""

from pathlib import Path

from tests.cases._case import FAULT, HOLDS, run_case, task

MEMBERS, TASKS = 8, 1000


async def case(folder: Path) -> tuple[int, str]:
    from tests.cases._names import SqliteBus

    bus = SqliteBus(folder / "log.sqlite")
    await bus.publish([task(number) for number in range(TASKS)])
    members = [bus.subscribe(["tasks"], "solver", f"solver-{number}") for number in range(MEMBERS)]
    had = [0] * MEMBERS
    for _ in range(5):
        for number, member in enumerate(members):
            taken = await member.take(10, 1.0)
            had[number] += len(taken)
            await member.complete(taken, [])
    idle = had.count(0)
    for member in members:
        await member.close()
    await bus.close()
    said = f"of {MEMBERS} solvers {idle} got nothing while {TASKS - sum(had)} tasks wait: {had}"
    return (FAULT if idle else HOLDS), said


if __name__ == "__main__":
    run_case(case)
