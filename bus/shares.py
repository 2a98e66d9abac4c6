"""Who of a group's members gets which partitions. Knows no driver, no lease and no epoch."""

from collections.abc import Mapping, Set

Stream = tuple[str, int]
"""A (topic, partition)."""


def share(holders: Mapping[Stream, str], members: Mapping[str, Set[str]]) -> dict[Stream, str]:
    """Share the streams of `holders` evenly among `members`, moving as few as possible.

    `holders` maps each stream to the member that holds it now, or to a name that is no
    member's; `members` maps each member to the topics it reads. The answer names the member
    that each stream should go to; a stream that nobody reads is left out. It depends on the
    arguments alone, so that all members come to the same answer.
    """
    held: dict[str, list[Stream]] = {name: [] for name in sorted(members)}
    homeless = []
    for stream, holder in sorted(holders.items()):
        if stream[0] in members.get(holder, ()):
            held[holder].append(stream)
        else:
            homeless.append(stream)
    for stream in homeless:
        readers = [name for name in held if stream[0] in members[name]]
        if readers:
            held[min(readers, key=lambda name: len(held[name]))].append(stream)
    while _move_one(held, members):
        pass
    return {stream: name for name, streams in held.items() for stream in streams}


def _move_one(held: dict[str, list[Stream]], members: Mapping[str, Set[str]]) -> bool:
    for giver in sorted(held, key=lambda name: -len(held[name])):
        for stream in sorted(held[giver], reverse=True):
            for taker in sorted(held, key=lambda name: len(held[name])):
                if len(held[giver]) - len(held[taker]) > 1 and stream[0] in members[taker]:
                    held[giver].remove(stream)
                    held[taker].append(stream)
                    return True
    return False
