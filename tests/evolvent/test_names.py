"""Our package names are generic: whoever else owns one of them is noticed before any harm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evolvent.doctor import PACKAGES

ROOT = Path(__file__).resolve().parent.parent.parent


def command(*arguments: str, path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Started where `path` comes before everything that is installed."""
    return subprocess.run(
        [sys.executable, "-c", "from evolvent.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path)},
    )


def other_distribution(site: Path, name: str) -> None:
    """A distribution `open-{name}` that installs a package `name`."""
    package, info = site / name, site / f"open_{name}-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: open-{name}\nVersion: 1.0\n")
    (info / "top_level.txt").write_text(name + "\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n")


@pytest.mark.parametrize("name", [name for name in PACKAGES if name != "evolvent"])
def test_another_package_under_our_name_stops_every_command(tmp_path: Path, name: str) -> None:
    site, folder = tmp_path / "site", tmp_path / "here"
    site.mkdir()
    folder.mkdir()
    other_distribution(site, name)
    done = command("recipes", path=site, folder=folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("evolvent: ") and done.stderr.count("\n") == 1
    for word in (f"package name {name}", f"the distribution open-{name}", "uninstall"):
        assert word in done.stderr


def test_the_doctor_sees_a_distribution_that_shares_our_name(tmp_path: Path) -> None:
    """Installed behind ours, it does no harm yet; after the next upgrade it may."""
    site = tmp_path / "site"
    site.mkdir()
    other_distribution(site, "agents")
    (site / "agents" / "__init__.py").unlink()
    (site / "agents").rmdir()
    done = command("doctor", path=site, folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "also in open-agents" in done.stdout.replace("\n", " ")


def test_a_folder_of_the_users_own_is_no_other_package(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "notes.txt").write_text("mine")
    done = command("recipes", path=ROOT, folder=tmp_path)
    assert done.returncode == 0, done.stderr
