"""`evolvent ask`: versions by number or as the newest, side by side."""

from pathlib import Path

from tests.evolvent.conftest import Refused, Shown


def test_versions_stand_side_by_side(lived: Path, shown: Shown) -> None:
    said = shown("ask", lived, "123", "45", "--version", "0", "--version", "newest")
    head, first, second, *_ = said.splitlines()
    assert head.split()[:3] == ["prompt", "version", "0"] and "expected" in head
    assert first.startswith("r123>") and first.rstrip().endswith("321")
    assert second.startswith("r45>") and second.rstrip().endswith("54")


def test_a_version_that_is_no_number_is_one_sentence(lived: Path, refused: Refused) -> None:
    said = refused("ask", lived, "123", "--version", "latest")
    assert "--version latest: name a version by its number, or newest" in said
