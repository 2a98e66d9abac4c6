"""Who kills the processes of a run; random numbers choose when, which and how. Knows no bus."""

import time
from collections.abc import Sequence
from random import Random

from harness.patient import FAULTS, Patient
from harness.runs import say


class Tormentor:
    """Whoever kills the processes of a run."""

    def __init__(self, patient: Patient, random: Random) -> None:
        self._patient = patient
        self._random = random

    async def torment(self, kills: int, seconds: float) -> None:
        """Until so many processes were killed, in `seconds` at most from when the run is up; then a
        clean stop."""
        patient = self._patient
        async with patient.watched():
            await patient.until(lambda: patient.version >= 1)
            deadline = time.monotonic() + seconds
            while patient.harm.total < kills and time.monotonic() < deadline:
                await self.strike(kills - patient.harm.total)
                if self._random.random() < 0.4:
                    await patient.watch(self._random.uniform(0, 3))
                else:
                    await patient.recovered()
                    await patient.watch(self._random.uniform(0, 0.5))
                say(f"{patient.harm.total} of {kills} killed, version {patient.version}")
            await patient.recovered()
            last = patient.version
            await patient.until(lambda: patient.version >= last + 12 and patient.has_learned())
        patient.stop()

    async def strike(self, left: int, weights: Sequence[int] = (40, 50, 10)) -> None:
        """Kill up to `left` processes: at a fault point, workers, or the supervisor."""
        patient, random = self._patient, self._random
        kind = random.choices(("fault", "workers", "supervisor"), weights)[0]
        if kind == "fault":
            await patient.by_fault(random.choice(FAULTS))
        elif kind == "workers":
            processes = patient.processes()
            count = min(left, random.choice((1, 2, 2, 3, 4, 5)), len(processes))
            for name in random.sample(sorted(processes), count):
                patient.kill(name, processes[name])
        else:
            await patient.kill_supervisor(
                with_workers=random.random() < 0.5, pause_seconds=random.uniform(0, 1)
            )
