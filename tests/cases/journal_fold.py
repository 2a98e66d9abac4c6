"""Kafka: every process keeps the id and the place of every event of the whole run in memory, done
or not, and reads all of the journal at its start: both grow with the length of the run."""

import gc
import hashlib
import time
from pathlib import Path
from typing import Any

from tests.cases._case import FAULT, HOLDS, NotTried, run_case

PER_ENTRY = 4
LIMIT_MIB = 1.0


def memory_mib() -> float:
    gc.collect()
    status = Path("/proc/self/status")
    if not status.exists():
        raise NotTried("there is no /proc here")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def case(folder: Path) -> tuple[int, str]:
    from bus.groups import Claim
    from bus.kafka.journal.entry import Entry, Places
    from bus.kafka.journal.state import State
    from tests.cases._names import TOPICS

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    solver: dict[str, Any] = {"group": "solver", "member": "s", "instance": "i"}
    state = State(TOPICS)
    state.apply(0, Entry(id="0" * 32, kind="join", topics=("tasks",), **solver).encode())
    done, number, seconds, memory = 0, 0, {}, {}
    for size in (10_000, 100_000):
        started, spent = memory_mib(), 0.0
        first = done
        while done < size:
            # What was added by one entry is done by the next, which adds as many attempts.
            part, at = number % 4, number // 4 * PER_ENTRY
            places = [2 * at + one for one in range(PER_ENTRY)]
            ids = [md5(f"task {done + one}") for one in range(PER_ENTRY)]
            epoch = state.group("solver").holdings["tasks", part].epoch
            made = Entry(id=md5(f"a{number}"), added={("tasks", part): Places(places, ids)})
            claim = Claim(epoch, ((at, at + PER_ENTRY),))
            ended = Entry(id=md5(f"b{number}"), done={("tasks", part): claim}, **solver)
            for value in (made.encode(), ended.encode()):
                began = time.perf_counter()
                applied = state.apply(state.position, value)
                if applied is None or applied[1] != "holds":
                    raise NotTried("an entry is void: adapt this case")
                spent += time.perf_counter() - began
            done, number = done + PER_ENTRY, number + 1
        seconds[size] = spent
        memory[size] = (memory_mib() - started) / (done - first) * 10_000
    said = f"{memory[100_000]:.2f} MiB more in memory per 10,000 done records, "
    said += f"{seconds[100_000] / 90_000 * 1e6:.1f} us to fold one; in all {done:,} records"
    return (FAULT if memory[100_000] > LIMIT_MIB else HOLDS), said


if __name__ == "__main__":
    run_case(case)
