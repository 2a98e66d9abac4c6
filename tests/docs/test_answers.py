"""The answers that pages show are those that the example run gives."""

from pathlib import Path

import pytest

from harness.answers import PAGES, answered


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_what_is_answered(page: Path) -> None:
    assert answered(page) == page.read_text(encoding="utf-8"), "python harness/answers.py"


def test_there_are_twenty_questions() -> None:
    assert PAGES[0].read_text(encoding="utf-8").count("\n```sql\n") == 20
