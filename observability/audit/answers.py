"""That every version was answered, once, by those who must: the proposer with its state and as many
tasks as that says, the evaluator with its scores. Knows no file.
"""

from collections import Counter
from collections.abc import Mapping

from bus.cursor import Cursor
from observability.audit import duties
from observability.audit.facts.once import Once
from observability.audit.facts.pages import (
    DECIDED,
    GRANTED,
    LETTER,
    NAMED,
    SAID,
    STATE,
    Fact,
)
from observability.audit.facts.snapshot import Said
from observability.audit.findings import Findings
from observability.audit.reading import Stream
from observability.audit.scanned import Part, Scanned

WEIGHTS: Stream = ("weights", 0)
CONTROL: Stream = ("control", 0)

Cursors = Mapping[str, Mapping[Stream, Cursor]]


class Answers:
    """What answers the versions of a log. `before` and `after` are cursors from before and after
    the log was read."""

    def __init__(
        self,
        scanned: Scanned,
        before: Cursors,
        after: Cursors,
        findings: Findings,
        said: Said | None = None,
        keep_from: int | None = None,
    ) -> None:
        self._scanned = scanned
        self._before, self._after = before, after
        self._findings = findings
        self._asked = {number for _, number in scanned.asked}
        self._scored: set[int] = set()
        self._state = (-1, 0) if said is None else said.state
        self._keep_from = keep_from
        self.once = Once() if said is None else Once.of(said.once)
        self.granted: list[tuple[str, int, int]] = []
        self.states: list[tuple[int, int, int]] = []
        self.state = self._state

    def check(self) -> None:
        part = self._scanned.parts.get(WEIGHTS)
        if part is not None:
            for low, high in self._scanned.pages.spans(part.index, part.start):
                page = _Versions(self._scanned, low, high, self.once)
                self._check(page, part, low, high)
                if self._keep_from is not None:
                    self._keep(page, self._keep_from)
        self._check_asked()

    def _keep(self, page: "_Versions", first: int) -> None:
        """For a snapshot: what was said once, and all that was of versions from `first` on."""
        for (what, agent), offsets in page.once.items():
            self.once.add(what, agent, offsets)
        self.granted += [
            (topic, of, number) for (topic, of), number in page.granted.items() if of >= first
        ]
        self.states += [state for state in page.states if state[0] >= first]
        self.state = max([self.state, *(one[:2] for one in page.states if one[0] < first)])

    def _check(self, page: "_Versions", part: Part, low: int, high: int) -> None:
        for place, agent, of in page.seconds:
            self._findings.violate(
                "I2", f"{place} is the second answer of {agent} to weights/0/{of}", "duplicated"
            )
        self._check_all(page, part, low, high)
        self._check_states(page, part)
        done = self._done(self._before, duties.ANSWERS_SOME)
        scored = page.answered["evaluations"]
        # Of versions of an audit before only their places are known, which are their numbers.
        scored_numbers = {page.numbers.get(offset, offset) for offset in scored}
        self._scored |= self._asked & scored_numbers
        for offset, number in sorted(page.numbers.items()):
            if self._is_due(number) and done.is_done(offset) and offset not in scored:
                self._missing(duties.ANSWERS_SOME, WEIGHTS, offset, page.dead)

    def _is_due(self, number: int) -> bool:
        """Whether a version is measured, in whichever of its forks that was to be done."""
        every = self._scanned.settings("evaluator", "every", number)
        return number >= 0 and all(one and number % one == 0 for one in every)

    def _check_all(self, page: "_Versions", part: Part, low: int, high: int) -> None:
        group = duties.ANSWERS_ALL
        if group not in self._before or WEIGHTS not in self._before[group]:
            return
        was, now = self._done(self._before, group), self._done(self._after, group)
        answered = page.answered["curricula"]
        for offset in part.offsets(low, high):
            if offset not in answered and was.is_done(offset):
                self._missing(group, WEIGHTS, offset, page.dead)
            elif offset in answered and not now.is_done(offset):
                self._findings.violate(
                    "I5", f"weights/0/{offset} has an answer, but is not done for group {group}"
                )

    def _check_asked(self) -> None:
        """Versions that somebody had measured."""
        group = duties.ANSWERS_SOME
        done = self._before.get(group, {}).get(CONTROL, Cursor())
        for offset, number in self._scanned.asked:
            scored = number in self._scored or self.once.anyone("said evaluations", number)
            if done.is_done(offset) and not scored:
                part = self._scanned.parts[CONTROL]
                page = self._scanned.pages.page_of(part.index, offset)
                dead = {(self._scanned.groups[one.second], one.offset) for one in page.letters}
                self._missing(group, CONTROL, offset, dead)

    def _missing(self, group: str, stream: Stream, offset: int, dead: set[tuple[str, int]]) -> None:
        if (group, offset) not in dead:
            self._findings.violate(
                "I1",
                f"{stream[0]}/{stream[1]}/{offset} is done for group {group}, with neither an "
                "answer nor a dead letter",
                "lost",
            )

    def _check_states(self, page: "_Versions", part: Part) -> None:
        """A state counts the tasks of the whole run, and the refusals of its version."""
        done = self._done(self._before, duties.ANSWERS_ALL)
        for of, proposed, refused in sorted(page.states):
            if part.is_closed(of):
                # It is a second one; what the first counted was right.
                continue
            tasks, said = page.granted["tasks", of], proposed - self._state[1]
            follows, self._state = self._state[0] == of - 1, (of, proposed)
            if not done.is_done(of):
                continue
            if follows and said != tasks:
                self._findings.violate(
                    "I1",
                    f"the proposer says that weights/0/{of} granted {said} tasks, {tasks} are on "
                    "the log",
                )
            if refused != page.granted["refusals", of]:
                self._findings.violate(
                    "I1",
                    f"the proposer says that {refused} proposals were refused at weights/0/{of}, "
                    f"{page.granted['refusals', of]} are on the log",
                )

    def _done(self, cursors: Cursors, group: str) -> Cursor:
        return cursors.get(group, {}).get(WEIGHTS, Cursor())


class _Versions:
    """The facts of one page of versions, with what was said of them `before` they were read."""

    def __init__(self, scanned: Scanned, low: int, high: int, before: Once) -> None:
        self._scanned = scanned
        self._before = before
        self.once: dict[tuple[str, str], set[int]] = {}
        self.numbers: dict[int, int] = {}
        self.answered: dict[str, set[int]] = {topic: set() for topic in duties.ONCE_PER_AGENT}
        self.granted: Counter[tuple[str, int]] = Counter()
        self.states: list[tuple[int, int, int]] = []
        self.seconds: list[tuple[str, str, int]] = []
        self.dead: set[tuple[str, int]] = set()
        for topic in self.answered:
            self.answered[topic] |= before.among(f"said {topic}", low, high)
        for fact in scanned.pages.facts(scanned.parts[WEIGHTS].index, low):
            self._take(fact)

    def _take(self, fact: Fact) -> None:
        kind, of, first, second, third, _ = fact
        words = self._scanned.words
        if kind == NAMED:
            self.numbers[of] = first
        elif kind == GRANTED:
            self.granted[words[first], of] += second
        elif kind == STATE:
            self.states.append((of, first, second))
        elif kind == LETTER:
            self.dead.add((self._scanned.groups[second], of))
        elif kind == SAID:
            self.answered[words[second]].add(of)
            self._once(f"said {words[second]}", of, first, third)
        elif kind == DECIDED:
            # A gate may change its mind, but says the same once.
            self._once(f"decided {words[third]}", of, first, second)

    def _once(self, what: str, of: int, at: int, agent: int) -> None:
        name = self._scanned.words[agent]
        seen = self.once.setdefault((what, name), set())
        if of in seen or self._before.has(what, name, of):
            self.seconds.append((self._scanned.place(at), name, of))
        seen.add(of)
