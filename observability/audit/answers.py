"""That every version was answered, once, by those who must: the proposer with its state and as many
tasks as that says, the evaluator with its scores. Knows no file.
"""

from array import array
from collections import Counter
from collections.abc import Mapping

from bus.cursor import Cursor
from bus.events import Curriculum, Event, Promotion
from observability.audit import duties
from observability.audit.findings import Findings
from observability.audit.reading import Stream
from observability.audit.scanned import Letter

WEIGHTS: Stream = ("weights", 0)
CONTROL: Stream = ("control", 0)

Cursors = Mapping[str, Mapping[Stream, Cursor]]


class Answers:
    """What answers the versions of a log with `end` of them, in the order of the scan."""

    def __init__(self, end: int, findings: Findings) -> None:
        self._findings = findings
        self._numbers = array("i", [-1]) * end
        self._said: dict[tuple[str, str], bytearray] = {}
        self._answered = {topic: bytearray(end) for topic in duties.ONCE_PER_AGENT}
        self._granted = {topic: array("i", [0]) * end for topic in ("tasks", "refusals")}
        self._decided: set[tuple[int, str, str]] = set()
        self._states: list[tuple[int, int, int]] = []

    def version(self, offset: int, number: int) -> None:
        """Where a version lies, and what its header calls it."""
        self._numbers[offset] = number

    def take(self, topic: str, place: str, agent: str, of: int) -> None:
        """A record on `topic` that answers the version at offset `of`."""
        if topic in self._granted and agent == duties.ANSWERS_ALL:
            self._granted[topic][of] += 1
        if topic not in duties.ONCE_PER_AGENT:
            return
        self._answered[topic][of] = 1
        said = self._said.setdefault((topic, agent), bytearray(len(self._numbers)))
        if said[of]:
            self._second(place, agent, of)
        said[of] = 1

    def said(self, event: Event, place: str, of: int) -> None:
        """The body of what answers the version at offset `of`."""
        if isinstance(event, Curriculum) and event.agent == duties.ANSWERS_ALL:
            self._states.append((of, event.proposed, event.refused))
        elif isinstance(event, Promotion):
            # A gate may change its mind, but says the same once.
            said = (of, event.agent, event.decision)
            if said in self._decided:
                self._second(place, event.agent, of)
            self._decided.add(said)

    def _second(self, place: str, agent: str, of: int) -> None:
        self._findings.violate(
            "I2", f"{place} is the second answer of {agent} to weights/0/{of}", "duplicated"
        )

    def finish(
        self,
        before: Cursors,
        after: Cursors,
        letters: list[Letter],
        every: int | None,
        asked: list[tuple[int, int]],
    ) -> None:
        """`every` so many versions are measured, None where nothing says it, and those `asked`
        for."""
        dead = Counter((letter.group, letter.origin, letter.offset) for letter in letters)
        self._check_all(before, after, dead)
        self._check_states(before)
        group = duties.ANSWERS_SOME
        scored = self._answered["evaluations"]
        done = before.get(group, {}).get(WEIGHTS, Cursor())
        for offset, number in enumerate(self._numbers):
            wanted = every and number >= 0 and number % every == 0
            if wanted and done.is_done(offset) and not scored[offset]:
                self._missing(group, WEIGHTS, offset, dead)
        places = {number: offset for offset, number in enumerate(self._numbers) if number >= 0}
        done = before.get(group, {}).get(CONTROL, Cursor())
        for offset, number in asked:
            of = places.get(number)
            if done.is_done(offset) and (of is None or not scored[of]):
                self._missing(group, CONTROL, offset, dead)

    def _check_all(
        self, before: Cursors, after: Cursors, dead: Counter[tuple[str, Stream, int]]
    ) -> None:
        group = duties.ANSWERS_ALL
        if group not in before or WEIGHTS not in before[group]:
            return
        was, now = before[group][WEIGHTS], after.get(group, {}).get(WEIGHTS, Cursor())
        for offset, answered in enumerate(self._answered["curricula"]):
            if not answered and was.is_done(offset):
                self._missing(group, WEIGHTS, offset, dead)
            elif answered and not now.is_done(offset):
                self._findings.violate(
                    "I5", f"weights/0/{offset} has an answer, but is not done for group {group}"
                )

    def _missing(
        self, group: str, stream: Stream, offset: int, dead: Counter[tuple[str, Stream, int]]
    ) -> None:
        if not dead[group, stream, offset]:
            self._findings.violate(
                "I1",
                f"{stream[0]}/{stream[1]}/{offset} is done for group {group}, with neither an "
                "answer nor a dead letter",
                "lost",
            )

    def _check_states(self, cursors: Cursors) -> None:
        """A state counts the tasks of the whole run, and the refusals of its version."""
        done = cursors.get(duties.ANSWERS_ALL, {}).get(WEIGHTS, Cursor())
        before = (-1, 0)
        for of, proposed, refused in sorted(self._states):
            tasks, said = self._granted["tasks"][of], proposed - before[1]
            follows, before = before[0] == of - 1, (of, proposed)
            if not done.is_done(of):
                continue
            if follows and said != tasks:
                self._findings.violate(
                    "I1",
                    f"the proposer says that weights/0/{of} granted {said} tasks, {tasks} are on "
                    "the log",
                )
            if refused != self._granted["refusals"][of]:
                self._findings.violate(
                    "I1",
                    f"the proposer says that {refused} proposals were refused at weights/0/{of}, "
                    f"{self._granted['refusals'][of]} are on the log",
                )
