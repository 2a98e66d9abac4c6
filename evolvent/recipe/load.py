"""Recipes as files: those that come along, those of users, and what commands change in them."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bus.config import BusConfig, bus_from_url
from bus.errors import BusError
from evolvent import roles
from evolvent.errors import UsageError
from evolvent.output import is_text
from evolvent.plugins import installed
from evolvent.recipe import bounds, learnable, rules
from evolvent.recipe.data import pinned
from evolvent.recipe.explain import UNIONS, explain
from evolvent.recipe.recipe import Recipe


def shipped() -> dict[str, Path]:
    """The recipes that come with evolvent, by name."""
    folder = files("evolvent") / "recipes"
    return {
        Path(str(entry)).stem: Path(str(entry))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


def load_recipe(
    name: str, overrides: Sequence[str] | None = None, bus: str | None = None
) -> Recipe:
    """A shipped recipe by name, or a TOML file by path; `bus` is a URL, `overrides` are
    `section.field=value`. Raises `UsageError` with the field, the value and what is allowed.
    """
    path = shipped().get(name, Path(name))
    try:
        # Editors on Windows begin with a byte order mark.
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError):
        names = ", ".join(shipped())
        raise UsageError(f"there is no recipe {name}: name a TOML file or one of {names}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text: save it in that encoding") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    settings.setdefault("name", path.stem)
    return _recipe(name, settings, overrides, bus)


def changed_recipe(
    recipe: Recipe,
    overrides: Sequence[str] | None = None,
    bus: str | None = None,
    *,
    to_run: bool = True,
) -> Recipe:
    """`recipe` with other settings, as `load_recipe` takes them; raises `UsageError`. Of one that
    nobody is `to_run` nothing is asked but that every setting means something."""
    return _recipe(recipe.name, recipe.model_dump(mode="json"), overrides, bus, to_run=to_run)


def _recipe(
    name: str,
    settings: dict[str, Any],
    overrides: Sequence[str] | None,
    bus: str | None,
    *,
    to_run: bool = True,
) -> Recipe:
    if bus is not None:
        _set_bus(settings, bus)
    # Another type starts from its own defaults, so it comes first.
    if odd := [override for override in overrides or [] if not is_text(override)]:
        raise UsageError(f"--set {odd[0][:60]}: it has bytes that are no text in UTF-8")
    for override in sorted(overrides or [], key=lambda override: ".type=" not in override):
        _override(settings, override)
    for section, default in UNIONS.items():
        if default is not None and isinstance(settings.get(section), dict):
            settings[section].setdefault("type", default)
    known = installed().recipe
    try:
        recipe = known.model_validate(settings)
        for each in (recipe, *_redirected(recipe)) if to_run else ():
            _check(each)
    except ValidationError as error:
        raise UsageError(f"recipe {name}: {explain(error, known)}") from None
    except ValueError as error:
        raise UsageError(f"recipe {name}: {error}") from None
    return pinned(recipe)


def _check(recipe: Recipe) -> None:
    """Raises `ValueError` for what could never work."""
    bounds.check(recipe)
    rules.check(recipe)
    learnable.check(recipe)
    roles.check(recipe)


def _redirected(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe as each of its guards may have the source ask; raises `ValueError`."""
    for guard in recipe.guards:
        if guard.objective:
            fields = {"source": {**recipe.source.model_dump(), **guard.objective}}
            try:
                yield type(recipe).model_validate({**recipe.model_dump(), **fields})
            except ValidationError as error:
                said = explain(error, type(recipe))
                raise ValueError(f"guards.objective: {said}") from None


def _set_bus(settings: dict[str, Any], url: str) -> None:
    """What the URL says; of the same transport the recipe's other fields stay."""
    try:
        wanted = bus_from_url(url)
    except BusError as error:
        raise UsageError(str(error)) from None
    said = {"type": wanted.type, **wanted.model_dump(exclude_unset=True)}
    own = settings.get("bus")
    if isinstance(own, dict) and own.get("type", "sqlite") == wanted.type:
        said = {**own, **said}
    settings["bus"] = said


def set_fields(fields: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`fields` with `field=value` each; raises `UsageError`."""
    for override in overrides:
        _override(fields, override)
    return fields


def _override(settings: dict[str, Any], override: str) -> None:
    place, equals, text = override.partition("=")
    if not equals or not all(place.split(".")):
        raise UsageError(f"--set {override}: write it as section.field=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    *sections, field = place.split(".")
    section = settings
    for name in sections:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise UsageError(f"--set {override}: {name} is not a section")
    before = section.get("type", UNIONS.get(".".join(sections)) or value)
    if field == "type" and before != value and sections[-1:] != ["optimizer"]:
        # Another part: what was set of the first one means nothing to it. Optimisers share fields.
        section.clear()
    section[field] = value


class _OnlyBus(BaseModel):
    model_config = ConfigDict(frozen=True)

    bus: BusConfig


def read_bus(settings: Mapping[str, Any]) -> BusConfig:
    """What stored settings say of the bus, whatever else they name. Raises `ValidationError`."""
    return _OnlyBus.model_validate({"bus": settings["bus"]}).bus


def changed_bus(
    settings: Mapping[str, Any], overrides: Sequence[str] | None, url: str | None
) -> BusConfig:
    """The bus of stored settings with other settings of `bus`, as `load_recipe` takes them; raises
    `UsageError`."""
    wanted: dict[str, Any] = {"bus": dict(settings["bus"])}
    if url is not None:
        _set_bus(wanted, url)
    for override in overrides or []:
        _override(wanted, override)
    try:
        return read_bus(wanted)
    except ValidationError as error:
        raise UsageError(f"recipe {settings['name']}: {explain(error, _OnlyBus)}") from None
