"""How the house stands: circles of imports, the fullest folder, the longest function and file, and
how many existing files a new part changes, by the example of its page in docs/.

    python benchmarks/house.py [--circles] [--quick]

A circle is a strongly connected component of more than one module; imports inside functions and
those for type checkers count. The last line is one JSON object; the exit code is 1 where a bar is
missed. `--circles` names the circles only, and is what `make check` runs.
"""

import argparse
import ast
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grimp import build_graph

# Run as a script, this file's neighbours would hide the package `bus`.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._new_parts import files_per_new_part

ROOT = Path(__file__).parents[1]
PACKAGES = ("bus", "agents", "trainer", "observability", "evolvent", "harness")
MOST_FILES, TOO_LONG = 18, 60
"""At most so many modules in a folder; a function is shorter than this."""


@dataclass(frozen=True, slots=True, order=True)
class Function:
    """`literal`: it is one literal that is returned, and little else."""

    lines: int
    name: str
    literal: bool


def circles(packages: Sequence[str] = PACKAGES) -> list[list[str]]:
    """The modules of every circle, the largest circle first."""
    graph = build_graph(*packages, cache_dir=None)
    found: set[tuple[str, ...]] = set()
    for module in graph.modules:
        both = graph.find_upstream_modules(module) & graph.find_downstream_modules(module)
        if others := both - {module}:
            found.add(tuple(sorted({module, *others})))
    return [list(circle) for circle in sorted(found, key=lambda circle: (-len(circle), circle))]


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def folders() -> dict[str, int]:
    """How many modules lie in each folder, the fullest first."""
    counted = Counter(_name(path.parent) for path in modules() if path.stem != "__init__")
    return dict(counted.most_common())


def functions() -> Iterator[Function]:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{_name(path)}:{node.name}"
                yield Function(_length(node), name, _is_literal(node))


def _is_literal(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    *before, last = function.body
    if ast.get_docstring(function) is not None:
        before = before[1:]
    return (
        isinstance(last, ast.Return)
        and isinstance(last.value, ast.Dict | ast.List)
        and all(isinstance(one, ast.Assign) for one in before)
        and sum(map(_length, before)) < _length(last)
    )


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def measure() -> dict[str, Any]:
    found, counted, every = circles(), folders(), list(functions())
    folder = next(iter(counted))
    function = max(one for one in every if not one.literal)
    literal = max((one for one in every if one.literal), default=Function(0, "", True))
    file = max(modules(), key=_lines)
    worker = ROOT / "evolvent" / "worker.py"
    return {
        "circles": len(found),
        "largest_circle": max(map(len, found), default=0),
        "fullest_folder": counted[folder],
        "fullest_folder_name": folder,
        "longest_function": function.lines,
        "longest_function_name": function.name,
        "longest_literal_function": literal.lines,
        "longest_literal_function_name": literal.name,
        "longest_file": _lines(file),
        "longest_file_name": _name(file),
        "worker_lines": _lines(worker) if worker.exists() else None,
        "files_per_new_part": files_per_new_part(ROOT, PACKAGES),
    }


def show_circles(found: Sequence[Sequence[str]]) -> int:
    for circle in found:
        print(f"circle of {len(circle)} modules: {', '.join(circle)}")
    print(f"{len(found)} circles of imports")
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="How the house stands.")
    parser.add_argument("--circles", action="store_true", help="name the circles, measure no more")
    parser.add_argument("--quick", action="store_true", help="the same: nothing here takes long")
    arguments = parser.parse_args()
    if arguments.circles:
        return show_circles(circles())
    figures = measure()
    for name, value in figures.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for kind, figure in rows:
            print(f"{f'{name} {kind}':40}{figure!s}")
    print(json.dumps(figures))
    missed = (
        figures["circles"] > 0
        or figures["fullest_folder"] > MOST_FILES
        or figures["longest_function"] >= TOO_LONG
    )
    refused = any(
        isinstance(figure, str) or (way == "plugin" and bool(figure))
        for part in figures["files_per_new_part"].values()
        for way, figure in part.items()
    )
    return 1 if missed or refused else 0


if __name__ == "__main__":
    sys.exit(main())
