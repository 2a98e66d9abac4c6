"""Pages of docs/ that show questions with their answers on the example run: read, asked again,
written anew.

In `docs/query.md` a `sql` block is followed by a `text` block with its answer; in
`docs/notebook.md` all `python` blocks are one program, and a `text` block is what the block before
it printed. A command that is followed by a `text` block, as in `docs/replay.md`, has printed it.
"""

import io
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

from bus.log import Log
from evolvent.commands.options import on_log
from evolvent.opened.example import write_example
from evolvent.run.folder import RunFolder
from harness.runs import ROOT, command
from observability.query.answers import as_text
from observability.query.query import Query

PAGES = tuple(ROOT / "docs" / f"{name}.md" for name in ("query", "notebook", "replay"))
WIDTH = 100
RUN = Path("runs/example")
"""Where the pages have the example."""

_SHOWN = re.compile(
    r"^```(sql|python|sh)\n(.*?)^```\n(\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE
)


def answered(page: Path) -> str:
    """The text of a page with the answers that its questions have."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        RUN.parent.mkdir()
        write_example(RUN)
        names: dict[str, Any] = {}

        def with_answers(log: Log) -> str:
            query = Query(log)

            def answer(language: str, code: str) -> str:
                if language == "sql":
                    return as_text(query.ask(code), WIDTH) + "\n"
                if language == "sh":
                    words = command(*shlex.split(code)[1:])
                    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
                printed = io.StringIO()
                with redirect_stdout(printed):
                    exec(code, names)
                return printed.getvalue()

            return _SHOWN.sub(_replaced(answer), text)

        return on_log(RunFolder(RUN), with_answers)


def _replaced(answer: Callable[[str, str], str]) -> Callable[[re.Match[str]], str]:
    def replaced(found: re.Match[str]) -> str:
        language, code = found[1], found[2]
        if language == "sh" and not found[3]:
            return found[0]
        said = answer(language, code)
        block = f"```{language}\n{code}```\n"
        return block + (f"\n```text\n{said}```\n" if said else "")

    return replaced


def write_answers(page: Path) -> None:
    """Write the answers of today into a page."""
    page.write_text(answered(page), encoding="utf-8")
