"""The fold of a group: owners, epochs and cursors of members that come and go."""

from bus.groups import Claim, Group, Member

STREAMS = [("tasks", part) for part in range(4)]


def member(name: str, exclusive: bool = False) -> Member:
    return Member(name=name, instance=f"{name}!", topics=frozenset({"tasks"}), exclusive=exclusive)


def test_whoever_is_alone_owns_everything_and_gives_half_to_the_next() -> None:
    group = Group()
    group.join(member("one"), STREAMS)
    assert group.owned("one") == dict.fromkeys(STREAMS, 1)
    group.join(member("two"), STREAMS)
    draining = [at for at, held in group.holdings.items() if held.draining]
    assert len(draining) == 2
    assert group.owned("two") == {}
    group.release(draining)
    assert group.owned("two") == dict.fromkeys(draining, 2)
    group.leave("one")
    assert set(group.owned("two")) == set(STREAMS)


def test_an_exclusive_member_fences_all_others_above_an_epoch() -> None:
    group = Group()
    group.join(member("one"), STREAMS)
    group.join(member("boss", exclusive=True), STREAMS, above=41)
    assert group.owned("boss") == dict.fromkeys(STREAMS, 42)
    assert not group.is_current("one", "one!")
    assert group.owns("boss", {STREAMS[0]: 42})
    assert not group.owns("boss", {STREAMS[0]: 41})
    assert not group.owns("boss", {("weights", 0): 1})


def test_what_is_claimed_again_is_known_to_be_done() -> None:
    group = Group()
    group.join(member("one"), STREAMS)
    claims = {STREAMS[0]: Claim(1, [(0, 2), (4, 5)])}
    assert not group.are_done(claims)
    group.complete(claims)
    assert group.are_done(claims)
    assert group.are_done({STREAMS[0]: Claim(1, [(1, 2)])})
    assert not group.are_done({STREAMS[0]: Claim(1, [(1, 3)])})
    assert not group.are_done({})
