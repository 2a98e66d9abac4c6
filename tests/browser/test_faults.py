"""A log that cannot be read: a sentence in the page, which goes on by itself when it can."""

import pytest
from playwright.sync_api import expect

from tests.browser.living import Living
from tests.browser.pictures import look
from tests.browser.served import Served
from tests.browser.visitor import Visitor


@pytest.mark.long
def test_a_log_that_is_away_is_a_sentence_until_it_is_back(living: Living, visit: Visitor) -> None:
    visit.expected += ["503", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_REFUSED"]
    living.tell(60)
    log = living.folder / "log.sqlite"
    aside = log.rename(living.folder / "aside")
    served = Served(living.folder.with_suffix(".txt"), str(living.folder))
    page = visit(f"{served.url}/runs/living/overview")
    expect(page.get_by_test_id("state")).to_have_text("unreachable")
    expect(page.get_by_test_id("problem-run")).to_contain_text("log.sqlite")
    look(page, "overview-unreachable")
    aside.rename(log)
    expect(page.get_by_test_id("problem-run")).to_have_count(0)
    expect(page.get_by_test_id("version")).to_have_text(
        str(served.asked("/runs")["runs"][0]["version"])
    )
    expect(page.get_by_test_id("error")).to_have_count(0)
    served.stop()
