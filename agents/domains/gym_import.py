"""One of reasoning-gym's datasets without the other hundred: importing all of them loads sympy,
matplotlib and more, and takes seconds. Knows no task.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

from agents.domains.gym_catalog import dataset_files

_PACKAGE = "reasoning_gym"
_importing = Lock()


def factory_of(name: str) -> Any:
    """reasoning-gym's factory, which knows the dataset `name`."""
    with _importing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = dataset_files().get(name)
        if file is None or _PACKAGE in sys.modules:
            import_module(_PACKAGE)
            return import_module(f"{_PACKAGE}.factory")
        folders = [file.parent]
        while folders[0].name != _PACKAGE:
            folders.insert(0, folders[0].parent)
        names = [_PACKAGE]
        names += [f"{_PACKAGE}.{'.'.join(f.relative_to(folders[0]).parts)}" for f in folders[1:]]
        with _standing_in(dict(zip(names, map(str, folders), strict=True))):
            import_module(f"{names[-1]}.{file.stem}")
            return import_module(f"{_PACKAGE}.factory")


@contextmanager
def _standing_in(packages: dict[str, str]) -> Iterator[None]:
    """Packages whose own code, which imports all that is in them, is not run. They are gone after:
    whoever imports them then gets them whole."""
    made = []
    for name, folder in packages.items():
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = [folder]
            sys.modules[name] = package
            made.append(name)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]
