"""The fold of the journal: what counts once, what is void, what is remembered and for how long."""

import asyncio
import json
import zlib
from typing import Any, cast

import pytest

from bus.groups import Claim, Stream
from bus.kafka.journal.entry import Entry, Places
from bus.kafka.journal.snapshots import _load, taken
from bus.kafka.journal.state import INDEX_RECORDS, MAX_STRANGERS, RECENT, Place, State
from bus.kafka.pages import Pages
from bus.topics import TOPICS

TASKS = ("tasks", 0)
SOLVER: dict[str, Any] = {"group": "solver", "member": "s", "instance": "i"}


def fold(*entries: Entry | bytes, state: State | None = None) -> State:
    state = state or State(TOPICS)
    for entry in entries:
        state.apply(state.position, entry if isinstance(entry, bytes) else entry.encode())
    return state


def verdicts(state: State, *entries: Entry) -> list[str | None]:
    said = [state.apply(state.position, one.encode()) for one in entries]
    return [None if one is None else one[1] for one in said]


def adding(name: str, raws: list[int], ids: list[str], **fields: Any) -> Entry:
    return Entry(id=name, added={TASKS: Places(raws, ids)}, **fields)


def joined() -> State:
    state = fold(Entry(id="join", kind="join", topics=("tasks",), **SOLVER))
    return fold(adding("a", [0, 1, 2], ["x", "y", "z"]), state=state)


def test_an_entry_of_a_writer_counts_once_however_late_its_double_comes() -> None:
    state = State(TOPICS)
    one = adding("one", [0], ["x"], writer="w", seq=1)
    two = adding("two", [1], [""], writer="w", seq=2)
    again = adding("two", [2], [""], writer="w", seq=2)
    assert verdicts(state, one, two, again, one) == ["holds", "holds", "void", "void"]
    assert state.heads[TASKS] == 2
    assert state.passed.keys() == {2, 3}


def test_outputs_of_what_was_done_are_void() -> None:
    state = joined()
    done = {TASKS: Claim(1, [(0, 2)])}
    first = Entry(id="b", done=done, added={("attempts", 0): Places([0], ["p"])}, **SOLVER)
    late = Entry(id="c", done=done, added={("attempts", 0): Places([1], ["other"])}, **SOLVER)
    more = Entry(
        id="d",
        done={TASKS: Claim(1, [(1, 3)])},
        added={("attempts", 0): Places([2], ["q"])},
        **SOLVER,
    )
    assert verdicts(state, first, late, more) == ["holds", "done", "holds"]
    assert state.heads["attempts", 0] == 2
    assert state.effects(3, late) == []
    assert state.group("solver").holdings[TASKS].cursor.base == 3


def test_a_former_owner_says_nothing() -> None:
    state = joined()
    wrong = Entry(id="b", done={TASKS: Claim(7, [(0, 1)])}, **SOLVER)
    stranger = Entry(id="c", group="solver", member="s", instance="other")
    nobody = Entry(id="d", done={("weights", 0): Claim(1, [(0, 1)])}, **SOLVER)
    assert verdicts(state, wrong, stranger, nobody) == ["void", "void", "void"]
    assert state.group("solver").holdings[TASKS].cursor.base == 0


def test_ids_are_told_from_the_newest_of_their_kind() -> None:
    state = fold(adding("root", [0], ["root"]))
    fold(Entry(id="join", kind="join", topics=("tasks",), **SOLVER), state=state)
    for number in range(RECENT + 1):
        fold(
            Entry(
                id=f"n{number}",
                done={TASKS: Claim(1, [(number, number + 1)])},
                added={TASKS: Places([number + 1], [f"id{number}"])},
                **SOLVER,
            ),
            state=state,
        )
    assert not state.has("id0")
    assert state.has("id1")
    assert state.has("root")
    entry = adding("again", [9_000, 9_001], ["root", "new"])
    head = state.heads[TASKS]
    fold(entry, state=state)
    assert state.heads[TASKS] == head + 1
    assert state.effects(state.position - 1, entry) == [(TASKS, Places([9_001], ["new"]), "again")]


def test_a_record_of_another_program_has_one_place() -> None:
    state = State(TOPICS)
    fold(Entry(id="a", foreign={TASKS: Places([4, 5], ["", ""])}), state=state)
    late = Entry(id="b", foreign={TASKS: Places([5, 6], ["", "k"])})
    fold(late, state=state)
    assert state.heads[TASKS] == 3
    assert state.is_foreign(TASKS, 6)
    assert not state.is_foreign(TASKS, 3)
    assert state.effects(1, late) == [(TASKS, Places([6], ["k"]), "")]


@pytest.mark.parametrize(
    "value", [b"", b"hello", b"{}", b"[1]", b'{"id":5,"kind":"commit"}', b'{"id":"a","kind":"x"}']
)
def test_what_is_no_entry_is_passed_over_and_counted(value: bytes) -> None:
    state = fold(value, adding("a", [0], ["x"]))
    assert (state.num_strangers, state.strangers, state.heads[TASKS]) == (1, [0], 1)
    fold(*[value] * MAX_STRANGERS, state=state)
    assert (state.num_strangers, len(state.strangers)) == (MAX_STRANGERS + 1, MAX_STRANGERS)


def test_those_who_listen_hear_what_is_appended() -> None:
    state, heard = State(TOPICS), list[Place]()
    state.feeds[TASKS] = [heard.extend]
    fold(adding("a", [3, 4], ["x", "y"]), adding("b", [7], ["x"]), state=state)
    assert heard == [Place(0, 3, "x", "a"), Place(1, 4, "y", "a")]


def test_a_partition_is_found_again_on_the_journal() -> None:
    state = State(TOPICS)
    for number in range(2 * INDEX_RECORDS):
        fold(adding(f"e{number}", [2 * number, 2 * number + 1], ["", ""]), state=state)
    assert state.index[TASKS].before(0) == (0, 0)
    assert state.index[TASKS].before(INDEX_RECORDS + 3) == (INDEX_RECORDS, INDEX_RECORDS // 2)
    assert len(state.index[TASKS].offsets) == 4


def test_a_snapshot_gives_the_same_state() -> None:
    state = joined()
    fold(
        b"strange",
        adding("w", [9], ["x"], writer="w", seq=3),
        Entry(
            id="void", done={TASKS: Claim(9, [(0, 1)])}, added={TASKS: Places([8], [""])}, **SOLVER
        ),
        Entry(id="f", foreign={TASKS: Places([4], ["k"])}),
        Entry(id="b", done={TASKS: Claim(1, [(1, 2)])}, **SOLVER),
        Entry(id="t", kind="topics", ids={"tasks": "one"}),
        state=state,
    )
    snapshot, again = taken(state), State(TOPICS)
    _load(again, json.loads(zlib.decompress(snapshot.packed)))
    assert taken(again) == snapshot
    more = [adding("more", [10, 11], ["x", "m"]), Entry(id="leave", kind="leave", **SOLVER)]
    assert taken(fold(*more, state=again)) == taken(fold(*more, state=state))


def test_where_a_partition_begins_is_kept_in_a_snapshot() -> None:
    trimmed = Entry(id="t", kind="trim", below={TASKS: 2, ("tasks", 2): 3}, floors={TASKS: 2})
    assert Entry.decode(trimmed.encode()) == trimmed
    state = fold(adding("a", [0, 1, 2], ["x", "y", "z"]), trimmed)
    assert state.starts == {TASKS: 2}
    again = State(TOPICS)
    _load(again, json.loads(zlib.decompress(taken(state).packed)))
    assert (again.starts, again.floors) == (state.starts, {TASKS: 2})


def test_what_was_written_before_a_trim_and_is_named_after_it_counts_for_nothing() -> None:
    state = fold(adding("a", [1, 2, 3], ["x", "y", "z"]))
    fold(Entry(id="t", kind="trim", below={TASKS: 2}, floors={TASKS: 3}), state=state)
    foreign = Entry(id="f", foreign={TASKS: Places([0, 4], ["", ""])})
    late, next_one = adding("late", [0], ["late"]), adding("b", [5], ["late"])
    assert verdicts(state, late, foreign, next_one) == ["void", "holds", "holds"]
    assert state.effects(5 - 2, foreign) == [(TASKS, Places([4], [""]), "")]
    assert state.heads[TASKS] == 5


def test_a_group_that_comes_before_a_trim_is_on_the_journal_has_all_that_it_must_do() -> None:
    assert fold(Entry(id="t", kind="trim", below={TASKS: 2}), state=joined()).starts == {}


def test_kafka_keeps_whatever_is_asked_for_from_the_first_record_on() -> None:
    raws = [10, 11, 14, 13, 17, 12, 18]
    places = [Place(offset, raw, "", "") for offset, raw in enumerate(raws)]

    class Scanner:
        async def places(self, stream: Stream, start: int, limit: int) -> list[Place]:
            return places[start : start + min(limit, 2)]

    lost: Any = None
    pages = Pages(lost, lost, cast(Any, Scanner()))
    found = [asyncio.run(pages.lowest(TASKS, first)) for first in range(1, 7)]
    assert found == [11, 12, 12, 12, 12, 13]
