"""What a person sees in a terminal of any width, and in a file."""

import asyncio
import io
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from bus.memory.bus import MemoryBus
from observability.progress.progress import Progress
from observability.terminal.activity import Activity, ProcessState, clock
from observability.terminal.curve import accuracy_curve
from observability.terminal.heat import HeatTable, heat_style, thinned
from observability.terminal.live import LiveView, plain_line
from observability.terminal.screen import Screen
from observability.terminal.summary import summary
from tests.observability.known import progress_of
from tests.observability.story import Story, dead_letter

WORDS = Story(versions=60)
STRINGS = Story(versions=60, suites=("reverse", "sort"), levels=tuple(range(1, 21)))
EVOLVING = Activity(
    phase="evolving",
    fraction=0.6,
    seconds_left=34.2,
    processes=(
        ProcessState(name="agents", pid=4711, last_line="swapped version 59"),
        ProcessState(name="trainer", pid=None, restarts=2, last_line="[red]not markup[/red]"),
    ),
    served={"solver": 59},
    swap_pause_ms=2.13,
)


def shown(renderable: RenderableType, width: int = 80, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    console.print(renderable)
    return console.export_text()


def test_the_screen_says_what_goes_on() -> None:
    text = shown(Screen(progress_of([*WORDS.events(), dead_letter()]), EVOLVING), width=120)
    for expected in (
        "evolvent words · seed 7",
        "evolving",
        "0:34 left",
        "spell_backward",
        "7.3%",
        "99.0%",
        "frontier 10",
        "60 published",
        "served: solver 59",
        "swapped in 2.1 ms",
        "in versions",
        "122 tasks",
        "1 dead letters",
        "4711",
        "down",
        "2 restarts",
        "[red]not markup[/red]",
    ):
        assert expected in text, expected


@pytest.mark.parametrize("story", [WORDS, STRINGS, Story(versions=0)], ids=["1", "2", "0"])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_nothing_is_wider_than_the_terminal(story: Story, width: int) -> None:
    progress = progress_of(story.events())
    for renderable in (
        Screen(progress, EVOLVING),
        accuracy_curve(progress),
        summary(progress, report=Path("runs/words-7/report/index.html")),
    ):
        lines = shown(renderable, width).splitlines()
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize("height", [24, 30, 50])
def test_the_screen_of_a_wide_terminal_is_no_higher_than_it(height: int) -> None:
    text = shown(Screen(progress_of(WORDS.events()), EVOLVING), 120, height)
    assert len(text.splitlines()) <= height


def test_all_levels_of_two_suites_fit_into_eighty_columns() -> None:
    text = shown(HeatTable(progress_of(STRINGS.events()), rows=4))
    headers = [line.split() for line in text.splitlines() if line.startswith("version")]
    assert [[word for word in line if word.isdigit()] for line in headers] == [
        [str(level) for level in range(1, 21)]
    ] * 2


def test_the_table_shows_the_first_and_the_newest_version() -> None:
    lines = shown(HeatTable(progress_of(WORDS.events()), rows=3)).splitlines()[2:]
    assert [line.split()[0] for line in lines if line.strip()] == ["0", "30", "60"]
    assert lines[0].split()[1:] == ["81", "56", "28", "11", "3", "2", "0", "0", "7.3%"]


def test_a_share_is_rounded_to_nothing_or_all_only_when_it_is() -> None:
    text = shown(HeatTable(progress_of(Story(versions=60, total=1000).events()), rows=2))
    first, last = text.splitlines()[2:4]
    assert first.split()[-2] == "1"
    assert last.split()[5] == "99" and last.split()[1] == "100"


def test_before_the_first_version_the_screen_says_so() -> None:
    text = shown(Screen(progress_of([]), Activity(phase="warming up the seed model 120/250")))
    assert "warming up the seed model 120/250" in text
    assert "no version was evaluated yet" in text
    assert "none yet" in text


def test_outside_a_terminal_it_prints_plain_lines_now_and_then() -> None:
    bus = MemoryBus()
    out = io.StringIO()
    with LiveView(Progress(bus), Console(file=out, width=40)) as view:
        view.update(Activity(phase="warming up the seed model 1/250"))
        view.update(Activity(phase="warming up the seed model 2/250"))
        asyncio.run(bus.publish(WORDS.events()))
        view.update(EVOLVING)
        view.update(EVOLVING)
    stamped = [line.split(" ", 1) for line in out.getvalue().splitlines()]
    assert len(stamped) == 2
    assert all(datetime.strptime(time, "%H:%M:%S") for time, _ in stamped)
    lines = [line for _, line in stamped]
    assert lines[0] == "warming up the seed model 1/250"
    assert lines[1].startswith("evolving | version 60 | held out 99.0% (version 60) | ")
    assert lines[1].endswith(" | 2 restarts | 0:34 left")


def test_in_a_terminal_the_view_shows_the_newest_state() -> None:
    bus = MemoryBus()
    out = io.StringIO()
    console = Console(file=out, width=100, height=40, force_terminal=True, color_system=None)
    with LiveView(Progress(bus), console) as view:
        view.update(Activity(phase="warming up"))
        asyncio.run(bus.publish(WORDS.events()))
        view.update(EVOLVING)
    assert "none yet" in out.getvalue()
    assert "60 published" in out.getvalue().split("none yet")[-1]


def test_a_plain_line_of_nothing_is_its_phase() -> None:
    assert plain_line(progress_of([]), Activity(phase="starting")) == "starting"


def test_the_summary_says_what_was_reached_and_how_to_go_on() -> None:
    command = "evolvent run --dir runs/words-7"
    text = shown(
        summary(progress_of(WORDS.events()), restarts=3, report=Path("r/index.html"), go_on=command)
    )
    for expected in ("7.3%", "99.0%", "3,840 events", "30,720 samples", "r/index.html"):
        assert expected in text, expected
    assert command in text.splitlines()[-1]
    assert re.search(r"restarts +3", text) and "frontier 10" in text


def test_a_command_that_is_too_long_for_a_line_can_still_be_copied() -> None:
    run = "runs/" + "a-long-name-" * 5
    command = f"evolvent run --dir {run} --set trainer.rate=0.1"
    text = shown(summary(progress_of([]), go_on=command))
    _, copied = text.split("Go on with:")
    assert max(map(len, copied.splitlines())) <= 80
    words = subprocess.check_output(["sh", "-c", f"printf '%s\\n' {copied.strip()}"], text=True)
    assert words.split() == command.split()


def test_the_summary_of_a_run_without_evaluations() -> None:
    assert "No version was evaluated." in shown(summary(progress_of([])))


def test_the_curve_rises_from_left_to_right() -> None:
    lines = shown(accuracy_curve(progress_of(WORDS.events()))).splitlines()
    plot = [line[7:] for line in lines if "┤" in line or "│" in line]
    left = next(row for row, line in enumerate(plot) if line[0] != "\u2800")
    right = next(row for row, line in enumerate(plot) if line.rstrip()[-1] != "\u2800")
    assert left == len(plot) - 1 and right == 0


def test_cells_can_be_read_on_every_colour() -> None:
    for percent in range(101):
        style = heat_style(percent / 100)
        assert style.bgcolor is not None and style.color is not None
        back, front = style.bgcolor.get_truecolor(), style.color.get_truecolor()
        assert abs(luminance(*back) - luminance(*front)) > 100


def luminance(red: int, green: int, blue: int) -> float:
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize("number", [1, 2, 5, 99, 100, 200])
def test_thinning_keeps_the_order_and_the_newest(number: int) -> None:
    kept = thinned(range(100), number)
    assert kept == sorted(set(kept)) and len(kept) == min(number, 100) and kept[-1] == 99
    assert number == 1 or kept[0] == 0


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 65, 7265, -3)] == ["0:00", "1:05", "2:01:05", "0:00"]
