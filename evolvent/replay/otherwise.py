"""What a run's recipe becomes when its log is replayed by other settings. Starts nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evolvent.errors import UsageError
from evolvent.recipe.load import changed_recipe, load_recipe
from evolvent.recipe.recipe import Recipe

_ALONE = {"judge": "judges", "judges": "judge"}
"""Of these a recipe has one or the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command changes: a `recipe` whose sections count, then `section.field=value`."""

    recipe: str | None = None
    overrides: Sequence[str] = ()


def otherwise(
    stored: Recipe, wanted: Settings, sections: Mapping[str, frozenset[str]], doing: str
) -> Recipe:
    """The recipe of a run with other settings in `sections`, of which the fields named may change,
    or all. Raises `UsageError` for any other setting."""
    named = [override.partition("=")[0] for override in wanted.overrides]
    for setting in named:
        _check(setting, sections, doing)
    given = stored if wanted.recipe is None else _of_another(stored, wanted.recipe, sections)
    for name in {setting.partition(".")[0] for setting in named} & _ALONE.keys():
        default = Recipe.model_fields[_ALONE[name]].default
        given = given.model_copy(update={_ALONE[name]: default})
    return changed_recipe(given, wanted.overrides, to_run=False)


def _check(setting: str, sections: Mapping[str, frozenset[str]], doing: str) -> None:
    section, _, field = setting.partition(".")
    fields = sections.get(section)
    if fields is None or (fields and field not in fields):
        known = ", ".join(
            f"{name}.{one}" if one else name
            for name, allowed in sections.items()
            for one in sorted(allowed) or [""]
        )
        raise UsageError(f"--set {setting}: {doing} takes {known}")


def _of_another(stored: Recipe, name: str, sections: Mapping[str, frozenset[str]]) -> Recipe:
    other = load_recipe(name)
    update = {}
    for section, fields in sections.items():
        theirs = getattr(other, section)
        if fields:
            some = {field: getattr(theirs, field) for field in fields}
            theirs = getattr(stored, section).model_copy(update=some)
        update[section] = theirs
    return stored.model_copy(update=update)
