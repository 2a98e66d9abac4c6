"""What an archive says of itself: its files, each with its range, its sha256 and a hash over all of
its partition up to there; the tables made of them; and the moment of the log that they hold. A file
that it does not name is not there. Knows no Parquet.

The same log gives the same manifest, byte for byte, whoever was killed on the way.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from pydantic import BaseModel, ConfigDict, ValidationError

from bus.cursor import Cursor, Run
from bus.groups import Stream, name_of, stream_of
from bus.log import Cut, Held
from observability.archive.place import ArchiveError, Place

FILE = "manifest.json"
TABLES = "tables"
FORMAT = 2
"""2: with tables."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Ranged(_Part):
    topic: str
    partition: int
    first: int
    end: int
    size: int = 0
    sha256: str = ""

    @property
    def stream(self) -> Stream:
        return self.topic, self.partition

    @property
    def name(self) -> str:
        return f"{self.topic}/{self.partition}/{self.first:012d}-{self.end:012d}.parquet"


class File(_Ranged):
    """The records [first, end) of a partition. `chain` is a hash over this file and all before."""

    chain: str = ""


class TableFile(_Ranged):
    """What those say that a table has; `unreadable` records were left out."""

    table: str
    unreadable: int = 0

    @property
    def name(self) -> str:
        return f"{TABLES}/{self.table}/{super().name}"


class Reached(_Part):
    """How far a group had come on a partition."""

    base: int
    runs: tuple[Run, ...]
    epoch: int


class Moment(_Part):
    """The log between two commits, partitions by name."""

    ends: dict[str, int]
    groups: dict[str, dict[str, Reached]]


class Manifest(_Part):
    """`block` is how many records a file has, but for the last of a partition; `form` says which
    columns `tables` have; `moment` is None until all up to one is there."""

    format: int = FORMAT
    run: str
    block: int
    files: tuple[File, ...] = ()
    form: str = ""
    tables: tuple[TableFile, ...] = ()
    moment: Moment | None = None

    @property
    def ends(self) -> dict[Stream, int]:
        """Where the files of each partition end."""
        return {file.stream: file.end for file in self.files}

    def named_ends(self) -> dict[str, int]:
        """The same, partitions by name."""
        return {name_of(stream): end for stream, end in self.ends.items()}

    def digest(self, without: str = "") -> str:
        """Over all files but those of one topic."""
        last = {file.stream: file.chain for file in self.files if file.topic != without}
        said = "\n".join(f"{name_of(stream)} {chain}" for stream, chain in sorted(last.items()))
        return hashlib.sha256(said.encode()).hexdigest()

    def with_files(self, new: Iterable[File], tables: Iterable[TableFile]) -> "Manifest":
        """One that names these too; a longer file takes the place of the one with its beginning."""
        found = {(file.stream, file.first): file for file in (*self.files, *new)}
        made = {(one.table, one.stream, one.first): one for one in (*self.tables, *tables)}
        return self.model_copy(
            update={
                "files": chained([found[at] for at in sorted(found)]),
                "tables": tuple(made[at] for at in sorted(made)),
            }
        )

    def of_form(self, form: str) -> "Manifest":
        """One whose tables have these columns, so that none with others is named."""
        if form == self.form:
            return self
        return self.model_copy(update={"format": FORMAT, "form": form, "tables": ()})

    @property
    def names(self) -> set[str]:
        """Of all files."""
        return {file.name for file in (*self.files, *self.tables)}

    def at(self, cut: Cut) -> "Manifest":
        """One whose files are whole up to this moment."""
        moment = Moment(
            ends={name_of(stream): end for stream, end in sorted(cut.heads.items())},
            groups={
                group: {
                    name_of(stream): Reached(
                        base=one.cursor.base, runs=one.cursor.runs, epoch=one.epoch
                    )
                    for stream, one in sorted(held.items())
                }
                for group, held in sorted(cut.groups.items())
            },
        )
        return self.model_copy(update={"moment": moment})

    def cut(self) -> Cut | None:
        """The moment that it holds."""
        if self.moment is None:
            return None
        groups: dict[str, Mapping[Stream, Held]] = {
            group: {
                stream_of(name): Held(Cursor(one.base, one.runs), one.epoch)
                for name, one in held.items()
            }
            for group, held in self.moment.groups.items()
        }
        heads = {stream_of(name): end for name, end in self.moment.ends.items()}
        return Cut(heads=heads, groups=groups)


def chained(files: Sequence[File]) -> tuple[File, ...]:
    """Files in order, each with its chain."""
    found = []
    for _, of_stream in groupby(files, key=lambda file: file.stream):
        chain = ""
        for file in of_stream:
            said = f"{chain}\n{file.name}\n{file.size}\n{file.sha256}"
            chain = hashlib.sha256(said.encode()).hexdigest()
            found.append(file.model_copy(update={"chain": chain}))
    return tuple(found)


def write(place: Place, manifest: Manifest) -> None:
    with place.writing(FILE) as path:
        path.write_bytes(_text(manifest))


def stands(place: Place, manifest: Manifest) -> bool:
    """Whether it is the one that was written last."""
    try:
        return bytes(place.read(FILE)) == _text(manifest)
    except FileNotFoundError:
        return False


def _text(manifest: Manifest) -> bytes:
    body = manifest.model_dump_json().encode()
    return b'{"sha256":"%b","manifest":%b}\n' % (_sha256(body).encode(), body)


def read(place: Place) -> Manifest | None:
    """None where no archive was begun. Raises `ArchiveError` for one that is damaged, or does not
    agree with the files that are there."""
    before = b""
    while True:
        try:
            text = bytes(place.read(FILE))
        except FileNotFoundError:
            return None
        manifest = _parsed(place, text)
        _check_ranges(place, manifest)
        amiss = _amiss(manifest, place.sizes())
        if not amiss:
            return manifest
        if text == before:
            raise damaged(place, amiss)
        # An archivist may have replaced a file since: then it has written another manifest.
        before = text


def damaged(place: Place, how: str) -> ArchiveError:
    return ArchiveError(
        f"the archive {place} is damaged: {how}; restore it from a copy, nothing was repaired"
    )


def _amiss(manifest: Manifest, sizes: Mapping[str, int]) -> str:
    """Which file is not as the manifest says, "" where all are."""
    for file in (*manifest.files, *manifest.tables):
        if file.name not in sizes:
            return f"{file.name} is missing"
        if sizes[file.name] != file.size:
            has = f"{sizes[file.name]:,} bytes, the manifest says {file.size:,}"
            return f"{file.name} has {has}"
    return ""


def _parsed(place: Place, text: bytes) -> Manifest:
    start, end = b'{"sha256":"', b'","manifest":'
    head = len(start) + 64
    body = text[head + len(end) : -2]
    if not text.startswith(start) or _sha256(body).encode() != text[len(start) : head]:
        raise damaged(place, f"the sha256 of {FILE} is another")
    said = json.loads(body)
    if said.get("format", 0) > FORMAT:
        raise ArchiveError(f"the archive {place} was written by a newer evolvent: use that one")
    try:
        return Manifest.model_validate(said)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise damaged(place, f"{FILE} is no manifest ({where})") from None


def _check_ranges(place: Place, manifest: Manifest) -> None:
    """Ranges without a gap, up to the moment that is held; the chain of each."""
    ends: dict[Stream, int] = {}
    for file in manifest.files:
        before = ends.get(file.stream, 0)
        if file.first != before or file.end <= file.first:
            gap = f"{name_of(file.stream)} goes on at {file.first}, after {before} records"
            raise damaged(place, f"there is a gap in {FILE}: {gap}")
        ends[file.stream] = file.end
    if chained(manifest.files) != manifest.files:
        raise damaged(place, f"the chain of {FILE} is broken")
    for name, end in (manifest.moment.ends if manifest.moment else {}).items():
        if ends.get(stream_of(name), 0) < end:
            raise damaged(place, f"there is a gap in {FILE}: {name} does not reach {end}")


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
