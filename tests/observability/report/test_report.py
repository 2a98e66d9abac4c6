"""The report shows a run to a reader who has only the page, and a model cannot write into it."""

import asyncio
import os
import re
import struct
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bus.errors import BusError
from bus.events import Event, Plugin, Weights
from bus.memory.bus import MemoryBus
from observability.report.report import write_report
from tests.observability.story import Story, dead_letter, judgment, refusal, start

STORY = Story(versions=12, evaluate_every=3)
PICTURES = ("accuracy", "curriculum", "throughput", "staleness")


def report_of(events: Sequence[Event], folder: Path) -> str:
    bus = MemoryBus()
    asyncio.run(bus.publish(events))
    path = write_report(bus, folder)
    assert path == folder / "report" / "index.html"
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """The tags and addresses of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "srcset", "href", "action")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("runs") / "words-7"
    events = [*STORY.events(), refusal(2, "held-out"), dead_letter("no such domain")]
    return folder, report_of(events, folder)


def test_the_page_tells_the_run(whole: tuple[Path, str]) -> None:
    page = Page(whole[1])
    for expected in (
        "words-7",
        "recipe words",
        "seed 7",
        "7.3 % → 9",
        "held-out accuracy, version 0 → 12",
        "spell_backward (warm-up)",
        "Spell this word backward: cat",
        "rcat>",
        "judgments/",
        "held-out",
        "duplicate",
        "no such domain",
        "tasks/2/17",
        "weights/0/12",
        '"longest": 10',
    ):
        assert expected in page.text, expected


def test_the_first_and_the_newest_judgments_are_shown(whole: tuple[Path, str]) -> None:
    text = Page(whole[1]).text
    first, newest = text.split("The newest judgments")
    assert "answered by version 0 " in first and "answered by version 12 " in newest
    assert len(re.findall(r"answered by version", text)) == 6


def test_the_page_needs_nothing_but_itself(whole: tuple[Path, str]) -> None:
    page = Page(whole[1])
    assert page.addresses and all(address.startswith("data:") for address in page.addresses)
    assert "script" not in page.tags and "link" in page.tags
    assert "url(" not in whole[1] and "@import" not in whole[1]
    assert page.tags.count("img") == len(PICTURES)


def test_every_picture_is_a_png_of_a_readable_size(whole: tuple[Path, str]) -> None:
    folder = whole[0] / "report"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.html", *(f"{name}.png" for name in PICTURES)]
    )
    for name in PICTURES:
        head = (folder / f"{name}.png").read_bytes()[:24]
        width, height = struct.unpack(">II", head[16:])
        assert head.startswith(b"\x89PNG") and width == 990 and 200 < height < 4000


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</code></li>"],
)
def test_what_a_model_says_stays_text(text: str, tmp_path: Path) -> None:
    said = [judgment(1, 0, 0.0, wrong=text), refusal(1, text), dead_letter(text), start(name=text)]
    same = [judgment(1, 0, 0.0, wrong="x"), refusal(1, "x"), dead_letter("x"), start(name="x")]
    page, plain = Page(report_of(said, tmp_path)), Page(report_of(same, tmp_path))
    assert page.tags == plain.tags
    assert page.text.count(text) >= 4


def test_the_page_tells_the_plug_ins_and_what_the_operator_asks_for(tmp_path: Path) -> None:
    plugin = Plugin(name="<b>chess</b>", sha256="ab" * 32, parts=("domain/chess",))
    began = start().model_copy(update={"plugins": (plugin,)})
    objective = began.model_copy(
        update={
            "id": "cd" * 16,
            "command": "objective",
            "settings": {"advance_at": 0.5, "name": "<i>"},
            "plugins": (),
        }
    )
    page = Page(report_of([began, objective], tmp_path))
    for expected in (
        "<b>chess</b>",
        "domain/chess",
        "ab" * 32,
        '{"advance_at": 0.5, "name": "<i>"}',
    ):
        assert expected in page.text, expected
    plain = Page(report_of([start()], tmp_path))
    assert "outside of evolvent" not in plain.text and "The operator" not in plain.text


@pytest.mark.parametrize("says", [True, False])
def test_a_warm_up_that_is_inferred_is_called_so(says: bool, tmp_path: Path) -> None:
    evaluation = STORY.evaluation(3).model_copy(update={"warmup_end": 4 if says else None})
    text = Page(report_of([evaluation], tmp_path)).text
    assert "spell_backward (warm-up)" in text
    assert ("is inferred from the two means" in text) == (not says)


@pytest.mark.parametrize(
    ("events", "pictures"),
    [
        ([], []),
        ([start()], []),
        (Story(versions=0).events(), ["accuracy", "curriculum"]),
        (
            [event for event in STORY.events() if event.topic != "evaluations"],
            ["curriculum", "staleness", "throughput"],
        ),
        ([event for event in STORY.events() if event.topic == "evaluations"], ["accuracy"]),
        (
            Story(versions=0, quantities=(("kl_to_data", 0.5),)).events(),
            ["accuracy", "curriculum", "quantities"],
        ),
    ],
    ids=["nothing", "started", "version 0", "never evaluated", "only evaluations", "measured"],
)
def test_a_run_that_is_not_whole_has_a_report(
    events: list[Event], pictures: list[str], tmp_path: Path
) -> None:
    html = report_of(events, tmp_path)
    assert sorted(path.stem for path in (tmp_path / "report").glob("*.png")) == pictures
    assert ("No version was evaluated yet." in html) == ("accuracy" not in pictures)


def test_writing_again_replaces_the_report_and_leaves_nothing_beside(tmp_path: Path) -> None:
    before = report_of(Story(versions=0).events(), tmp_path)
    after = report_of(Story(versions=3).events(), tmp_path)
    assert "version 0 → 3" in after and "version 0 → 3" not in before
    assert not [path for path in (tmp_path / "report").iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(BusError, match=re.escape(f"{tmp_path / 'report'}")):
        write_report(MemoryBus(), tmp_path)
    assert os.listdir(tmp_path) == ["report"]


def test_two_suites_have_a_panel_each(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    report_of(Story(versions=3).events(), one)
    report_of(Story(versions=3, suites=("reverse", "sort")).events(), two)
    heights = [
        struct.unpack(">I", (folder / "report" / "accuracy.png").read_bytes()[20:24])[0]
        for folder in (one, two)
    ]
    assert heights[1] > heights[0] + 100


def test_policies_that_are_trained_are_told_apart(tmp_path: Path) -> None:
    events = [
        event.model_copy(update={"policy": "challenger"})
        if isinstance(event, Weights) and event.number % 2
        else event
        for event in Story(versions=4).events()
    ]
    assert "current 4 · challenger 3" in Page(report_of(events, tmp_path)).text
    assert "that is trained" not in Page(report_of(Story(versions=4).events(), tmp_path)).text
