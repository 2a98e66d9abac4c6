"""Runs beside one another in one picture."""

import struct

from observability.report.curves import curves
from tests.observability.known import progress_of
from tests.observability.story import Story


def size(picture: bytes | None) -> tuple[int, int]:
    assert picture is not None and picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_more_runs_than_colours_are_drawn_as_one_picture() -> None:
    runs = {f"seed {n}": progress_of(Story(versions=n).events()) for n in range(1, 9)}
    one, all_of_them = curves({"one": runs["seed 8"]}), curves(runs)
    assert size(one)[0] == size(all_of_them)[0] == 990
    assert one != all_of_them


def test_where_no_warm_up_was_evaluated_held_out_stands_alone() -> None:
    both, alone = progress_of(Story().events()), progress_of(Story(levels=(5, 6)).events())
    assert size(curves({"alone": alone}))[1] < size(curves({"both": both}))[1]


def test_runs_that_nobody_evaluated_give_no_picture() -> None:
    events = [event for event in Story().events() if event.topic != "evaluations"]
    assert curves({"one": progress_of(events), "two": progress_of(events)}) is None
    assert curves({}) is None
    assert curves({"one": progress_of(events), "two": progress_of(Story().events())}) is not None
