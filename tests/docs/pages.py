"""The examples of the pages that show how a part is added, taken out of them."""

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from benchmarks._new_parts import KINDS, PLUGGED, Example, read_example

__all__ = ["DOCS", "KINDS", "PLUGGED", "blocks", "code_of", "example", "module_of", "write"]

DOCS = Path(__file__).parents[2] / "docs"


def example(kind: str) -> Example:
    found = read_example(kind, DOCS)
    assert found is not None, f"no page shows a {kind}"
    return found


def code_of(kind: str) -> str:
    return example(kind).code


def write(kind: str, folder: Path) -> Path:
    """The example as a file."""
    file = folder / example(kind).file
    file.write_text(code_of(kind), encoding="utf-8")
    return file


def module_of(kind: str, folder: Path) -> Any:
    """The example as a module."""
    file = write(kind, folder)
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[file.stem] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
