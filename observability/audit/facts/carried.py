"""What a snapshot hands to the audit that goes on from it. Reads no log."""

from collections.abc import Iterator

from bus.groups import name_of, stream_of
from observability.audit import duties
from observability.audit.facts.links import EVENT, Links, Place
from observability.audit.facts.pages import GRANTED, NAMED, NAMELESS, STATE
from observability.audit.facts.snapshot import Snapshot
from observability.audit.reading import Stream
from observability.audit.scanned import Part, Scanned, Start, identity_of

WEIGHTS = ("weights", 0)


def part_since(snapshot: Snapshot | None, index: int, stream: Stream, end: int) -> Part:
    """A partition of which nothing below `snapshot` is read again."""
    edge = None if snapshot is None else snapshot.edge(stream)
    if snapshot is None or edge is None:
        return Part(index=index, stream=stream, end=end)
    found = snapshot.open.get(name_of(stream), [])
    return Part(
        index=index,
        stream=stream,
        end=end,
        start=edge.end,
        open=frozenset(one.offset for one in found),
        in_one_piece=edge.in_one_piece,
    )


def carry(snapshot: Snapshot, scanned: Scanned, links: Links) -> None:
    """As if the scan had seen what is still open, and had heard what was said of the run."""
    for part, offset, open_id, place, version in _open(snapshot, scanned):
        identity = identity_of(open_id)
        if identity is None:
            scanned.pages.add(part.index, NAMELESS, offset)
            continue
        links.add(EVENT, identity, place)
        if part.stream[0] in duties.LEARNED_FROM or part.stream == WEIGHTS:
            commit = place.commit
            scanned.pages.add(part.index, NAMED, offset, version, commit, identity=identity)
    scanned.starts += [Start(offset=at, settings=settings) for at, settings in snapshot.starts]
    scanned.asked += snapshot.asked
    weights = scanned.parts.get(WEIGHTS)
    if weights is None:
        return
    for topic, of, number in snapshot.said.granted:
        scanned.pages.add(weights.index, GRANTED, of, scanned.words.number(topic), number)
    for of, proposed, refused in snapshot.said.states:
        scanned.pages.add(weights.index, STATE, of, proposed, refused)


def _open(snapshot: Snapshot, scanned: Scanned) -> Iterator[tuple[Part, int, str, Place, int]]:
    for name, records in snapshot.open.items():
        part = scanned.parts[stream_of(name)]
        for one in records:
            place = Place(part.at(one.offset), one.seconds, one.commit)
            yield part, one.offset, one.id, place, one.version
