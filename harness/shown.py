"""Whether a benchmark has shown what it is for: it did what it counts, and found what must not be
nowhere. Knows no benchmark."""

from collections.abc import Collection, Mapping
from typing import Any

from harness.runs import say


def exit_code(
    figures: Mapping[str, Any], at_least: Mapping[str, float], zero: Collection[str] = ()
) -> int:
    """0 when every figure of `at_least` has come to so much and those of `zero` are 0; what has
    not is said."""
    missed = [
        f"{name}: {figures[name]} of {wanted:g}"
        for name, wanted in at_least.items()
        if figures[name] < wanted
    ]
    found = [f"{name}: {figures[name]}, not 0" for name in zero if figures[name]]
    for sentence in (*missed, *found):
        say(f"not shown: {sentence}")
    return 1 if missed or found else 0
