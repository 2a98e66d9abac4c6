"""Parts from outside of evolvent: files that the user names, and installed packages. A plug-in is a
table of configurations by kind, called `PARTS`:

    PARTS = {"judge": [LengthConfig], "domain": [RiddlesConfig]}

Files are named by `--plugin FILE.py` or in EVOLVENT_PLUGINS; packages have an entry point in the
group `evolvent.parts`. Nothing that a folder or a log names is ever run.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError

from agents.parts import PartConfig, RoleConfig
from bus.control import ALL
from bus.events import Plugin
from evolvent.errors import UsageError
from evolvent.recipe.kinds import KINDS, chosen, recipe_with, types_of
from evolvent.recipe.recipe import Recipe

VARIABLE = "EVOLVENT_PLUGINS"
ENTRY_POINTS = "evolvent.parts"
TABLE = "PARTS"
_PARENTS: dict[str, type[BaseModel]] = {
    "source": PartConfig,
    "sampler": PartConfig,
    "judge": PartConfig,
    "role": RoleConfig,
}
"""Kinds whose configurations say more than `type` and `build`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One configuration: its kind, the type it is named by, and what it came from."""

    kind: str
    named: str
    config: type[BaseModel]
    name: str
    sha256: str


class Plugins:
    """All parts from outside that this process knows."""

    def __init__(self, parts: Sequence[Part] = ()) -> None:
        self._parts = {(part.kind, part.named): part for part in parts}

    @cached_property
    def recipe(self) -> type[Recipe]:
        """Recipes that may name them."""
        return recipe_with({kind: [part.config for part in self.parts(kind)] for kind in KINDS})

    def parts(self, kind: str) -> list[Part]:
        """Those of a kind."""
        return [part for part in self._parts.values() if part.kind == kind]

    def used_by(self, recipe: Recipe) -> tuple[Plugin, ...]:
        """What a run with this recipe has to record."""
        found: dict[tuple[str, str], list[str]] = {}
        for kind in KINDS:
            for config in chosen(recipe, kind):
                part = self._parts.get((kind, str(getattr(config, "type", ""))))
                if part is not None:
                    found.setdefault((part.name, part.sha256), []).append(f"{kind}/{part.named}")
        return tuple(
            Plugin(name=name, sha256=sha256, parts=tuple(dict.fromkeys(parts)))
            for (name, sha256), parts in sorted(found.items())
        )

    def check_same(self, recorded: Sequence[Plugin], place: str) -> None:
        """Raises `UsageError` where a part that a run records is not here, or another."""
        for plugin in recorded:
            for known in plugin.parts:
                kind, _, named = known.partition("/")
                part = self._parts.get((kind, named))
                if part is None:
                    raise UsageError(
                        f"{place} uses the {kind} {named} of the plug-in {plugin.name}, which is "
                        f"not here: name its file with --plugin, or in {VARIABLE}"
                    )
                if part.sha256 != plugin.sha256:
                    raise UsageError(
                        f"{place} was started with another {plugin.name} (sha256 "
                        f"{plugin.sha256[:12]}, this one is {part.sha256[:12]}): go on with the "
                        "same file, or start a new run"
                    )


def name_files(files: Sequence[Path]) -> None:
    """Make plug-ins known to this process and those it starts. Raises `UsageError`."""
    named = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    for file in files:
        if not file.is_file():
            raise UsageError(f"--plugin {file}: there is no such file")
        if os.pathsep in str(file.resolve()):
            raise UsageError(f"--plugin {file}: a path with {os.pathsep!r} cannot be named")
        named.append(str(file.resolve()))
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(named))
    if files:
        installed()


def named() -> list[str]:
    """What names the same files again on a command line."""
    files = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    return [word for path in files for word in ("--plugin", path)]


def installed() -> Plugins:
    """What the environment names now. Raises `UsageError`."""
    return _loaded(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _loaded(named: str) -> Plugins:
    parts: list[Part] = []
    for path in dict.fromkeys(Path(path).resolve() for path in named.split(os.pathsep) if path):
        parts += _of_file(path)
    # Who writes a package names its file too, to try it.
    files = {part.sha256 for part in parts}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        parts += (part for part in _of_package(point) if part.sha256 not in files)
    seen: dict[tuple[str, str], Part] = {}
    for part in parts:
        other = seen.setdefault((part.kind, part.named), part)
        if other is not part:
            raise UsageError(
                f"the {part.kind} {part.named} comes from {other.name} and from {part.name}: "
                "name one of them"
            )
        if part.named in types_of(part.kind):
            raise UsageError(
                f"{part.name}: a {part.kind} of type {part.named} comes with evolvent: choose "
                "another type"
            )
    return Plugins(parts)


def _of_file(path: Path) -> Iterator[Part]:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the plug-in {path} cannot be read: {error.strerror}") from None
    sha256 = hashlib.sha256(source).hexdigest()
    name = f"evolvent_plugin_{path.stem}_{sha256[:12]}"
    spec = spec_from_file_location(name, path)
    if spec is None:
        raise UsageError(f"the plug-in {path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        # What is run is what was read, and its digest is that of the bytes.
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        del sys.modules[name]
        raise UsageError(f"the plug-in {path} cannot be loaded: {_said(error)}") from None
    table = getattr(module, TABLE, None)
    return _parts(path.name, sha256, table)


def _of_package(point: EntryPoint) -> Iterator[Part]:
    name = point.dist.name if point.dist is not None else point.name
    try:
        table = point.load()
        source = Path(str(sys.modules[point.module].__file__)).read_bytes()
    except (Exception, SystemExit) as error:  # whatever the package's code raises
        raise UsageError(
            f"the installed plug-in {name} cannot be loaded ({_said(error)}): mend or uninstall it"
        ) from None
    return _parts(name, hashlib.sha256(source).hexdigest(), table)


def _parts(name: str, sha256: str, table: Any) -> Iterator[Part]:
    if not isinstance(table, Mapping) or not table:
        raise UsageError(
            f"the plug-in {name} has no table of its parts: {TABLE} = {{'judge': [MyConfig]}}"
        )
    for kind, configs in table.items():
        if kind not in KINDS:
            raise UsageError(
                f"the plug-in {name} names the kind {kind!r}: there are {', '.join(KINDS)}"
            )
        for config in configs if isinstance(configs, list | tuple) else [configs]:
            yield Part(
                kind=kind,
                named=_type_of(name, kind, config),
                config=config,
                name=name,
                sha256=sha256,
            )


def _type_of(name: str, kind: str, config: Any) -> str:
    """The `type` of a configuration, its default and its one value."""
    what = f"the plug-in {name}: {getattr(config, '__name__', repr(config))}"
    parent = _PARENTS.get(kind, BaseModel)
    if not (isinstance(config, type) and issubclass(config, parent)):
        raise UsageError(f"{what} is no configuration of a {kind} (a subclass of {_named(parent)})")
    try:
        config.model_rebuild()
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise UsageError(f"{what} is no whole model: {' '.join(str(error).split())}") from None
    field = config.model_fields.get("type")
    default = None if field is None else field.default
    values = () if field is None else get_args(field.annotation)
    if values != (default,) or not callable(getattr(config, "build", None)):
        raise UsageError(
            f'{what} needs a field like type: Literal["mine"] = "mine" and a method '
            "build(self, parts)"
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", str(default)) or default == ALL:
        raise UsageError(
            f"{what} is called {default!r}: a type is up to 100 lower case letters, digits, '_' "
            f"and '-', and not {ALL!r}"
        )
    return str(default)


def _named(parent: type[BaseModel]) -> str:
    return (
        f"{parent.__module__}.{parent.__name__}" if parent is not BaseModel else "a pydantic model"
    )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
