"""`evolvent audit --snapshot` and `--since`, as a user types them."""

import json
from pathlib import Path

import pytest

from tests.evolvent.test_output import printed


@pytest.mark.slow
def test_an_audit_goes_on_from_a_snapshot(lived: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    first = printed("audit", lived, "--snapshot", snapshot, "--json")
    assert first.returncode == 0, first.stderr
    counts = json.loads(first.stdout)["counts"]
    second = printed("audit", lived, "--since", snapshot, "--json")
    assert second.returncode == 0, second.stderr
    said = json.loads(second.stdout)
    assert said["since"] == {"snapshot": str(snapshot), "events": counts["events"]}
    assert said["counts"]["trained"] == counts["trained"]
    assert f"went on from {snapshot}".encode() in second.stderr


@pytest.mark.long
def test_a_wrong_snapshot_and_a_deep_audit_are_refused(lived: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.write_text("{}")
    for arguments, words in (
        (("--since", snapshot), b"is no snapshot of an audit, or damaged"),
        (("--since", tmp_path / "nowhere"), b"cannot be read: No such file"),
        (("--deep", "--since", snapshot), b"it goes with neither --since nor --snapshot"),
    ):
        done = printed("audit", lived, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert b"Traceback" not in done.stderr
