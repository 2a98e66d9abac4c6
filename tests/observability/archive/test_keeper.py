"""Archives at several places, of which some are gone: whatever one of them has is read."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from bus.bus import Bus
from observability.archive.keeper import FOLDER, Keeper, newest_archive, trim
from observability.archive.manifest import FILE
from observability.archive.place import ArchiveError, Folder
from observability.archive.watermark import watermarks
from tests.observability.archive.archiving import EVENTS, log_of, records
from tests.observability.archive.killed import answered, whole
from tests.observability.story import RUN


async def archive(bus: Bus, run: Path, location: Path | None = None) -> int:
    """How many watermarks that made."""
    keeper = Keeper(bus, whole(bus.log, run), run, RUN, None if location is None else str(location))
    await keeper.archive()
    due = keeper.due()
    await bus.publish([] if due is None else [due])
    assert keeper.due() is None
    return int(due is not None)


async def shortened(bus: Bus, run: Path) -> None:
    """What is archived is done, and leaves the log."""
    await answered(bus)
    await trim(bus, whole(bus.log, run), partial(newest_archive, run, RUN), 3, dry=False)


def test_where_the_newest_archive_is_gone_an_older_one_is_read_and_named_again(
    tmp_path: Path,
) -> None:
    run, usb = tmp_path / "run", tmp_path / "usb"
    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:
        before = records(bus)

        async def lived() -> None:
            assert [await archive(bus, run), await archive(bus, run)] == [1, 0]
            await shortened(bus, run)
            assert await archive(bus, run, usb) == 1
            usb.rename(tmp_path / "usb.gone")
            assert bus.starts() and newest_archive(run, RUN, bus)[0].location == FOLDER
            after = records(whole(bus, run))
            assert all(after[at] == some for at, some in before.items() if at[0] != "watermarks")
            await trim(bus, whole(bus, run), partial(newest_archive, run, RUN), 1, dry=False)
            assert [await archive(bus, run), await archive(bus, run)] == [1, 0]
            assert [mark.location for mark in watermarks(bus)] == [FOLDER, str(usb)]
            ids = [record.event().id for record in bus.read("watermarks")]
            assert len(set(ids)) == len(ids) == 3

        asyncio.run(lived())
        (run / FOLDER).rename(tmp_path / "gone")
        with pytest.raises(ArchiveError, match=r"no archive at .*run/archive.*no archive at .*usb"):
            records(whole(bus, run))


def test_what_another_archive_has_is_archived_again_and_what_none_has_is_not_removed(
    tmp_path: Path,
) -> None:
    run, usb = tmp_path / "run", tmp_path / "usb"
    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:

        async def lived() -> None:
            await archive(bus, run)
            await archive(bus, run, usb)
            await shortened(bus, run)
            (run / FOLDER / FILE).unlink()
            usb.rename(tmp_path / "usb.gone")
            with pytest.raises(ArchiveError, match="nothing was removed"):
                await archive(bus, run)
            assert any((run / FOLDER).rglob("*.parquet"))
            (tmp_path / "usb.gone").rename(usb)
            await archive(bus, run)
            usb.rename(tmp_path / "usb.gone")
            assert len(records(whole(bus, run))["tasks", 0]) == bus.heads()["tasks", 0]

        asyncio.run(lived())


def test_a_pass_lists_the_place_twice_however_long_the_past_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, listed, sizes = tmp_path / "run", list[Folder](), Folder.sizes

    def counted(place: Folder) -> dict[str, int]:
        listed.append(place)
        return sizes(place)

    with log_of(tmp_path / "log.sqlite", EVENTS) as bus:

        async def lived() -> None:
            await archive(bus, run)
            await shortened(bus, run)
            monkeypatch.setattr(Folder, "sizes", counted)
            keeper = Keeper(bus, whole(bus.log, run), run, RUN, None)
            await keeper.archive()
            assert await keeper.trim(1) > 0 and len(listed) == 2

        asyncio.run(lived())


def test_an_archive_that_ends_before_what_was_trimmed_is_passed_over(tmp_path: Path) -> None:
    run, usb = tmp_path / "run", tmp_path / "usb"
    with log_of(tmp_path / "log.sqlite", EVENTS[: len(EVENTS) // 2]) as bus:

        async def lived() -> None:
            await archive(bus, run, usb)
            await bus.publish(EVENTS[len(EVENTS) // 2 :])
            await archive(bus, run)
            await shortened(bus, run)
            (run / FOLDER).rename(tmp_path / "gone")

        asyncio.run(lived())
        with pytest.raises(
            ArchiveError, match=r"at .*archive: .*; the log was trimmed up to .*usb ends at"
        ):
            newest_archive(run, RUN, bus)
