"""The house: no circle of imports anywhere, lazy ones counted, and no folder that is too full."""

from pathlib import Path

import pytest

from benchmarks._new_parts import read_example
from benchmarks.house import MOST_FILES, PACKAGES, circles, folders


def test_no_module_imports_itself_by_way_of_others() -> None:
    found = circles()
    assert not found, "circles of imports:\n" + "\n".join(", ".join(circle) for circle in found)


def test_no_folder_has_too_many_modules() -> None:
    counted = folders()
    assert {name.partition("/")[0] for name in counted} == set(PACKAGES)
    full = {name: count for name, count in counted.items() if count > MOST_FILES}
    assert not full, f"more than {MOST_FILES} modules: {full}"


def test_a_circle_of_lazy_imports_and_of_types_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {
        "__init__": "",
        "lazy": "def act() -> None:\n    from ring import plain\n",
        "plain": "from ring.typed import Name\n",
        "typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ring import lazy\n",
        "apart": "import ring.lazy\n",
    }
    (tmp_path / "ring").mkdir()
    for name, code in modules.items():
        (tmp_path / "ring" / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert circles(("ring",)) == [["ring.lazy", "ring.plain", "ring.typed"]]


def test_the_example_of_a_page_is_its_block_that_names_a_file(tmp_path: Path) -> None:
    page = """# Adding an engine

```python
from agents.engines.engine import Engine
```

```python
# my_engine.py
class MineConfig:
    type: Literal["mine"] = "mine"
```

## Inside the tree

Save it as `agents/engines/my_engine.py` and name it in `agents/engines/config.py`:

```diff
--- a/agents/engines/config.py
+++ b/agents/engines/config.py
```

## What an engine promises

```diff
--- a/README.md
```
"""
    assert read_example("engine", tmp_path) is None
    (tmp_path / "adding-an-engine.md").write_text(page)
    example = read_example("engine", tmp_path)
    assert example is not None
    assert (example.file, example.type) == ("my_engine.py", "mine")
    assert example.code.startswith("# my_engine.py\nclass MineConfig:")
    assert example.place == "agents/engines/"
    [diff] = example.diffs
    assert "engines/config.py" in diff
