"""Values are written alike in and out of the sandbox, and equal lines mean equal values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.sandbox.sandbox import Sandbox
from agents.sandbox.values import NoValue, arguments_of, line_of, value_of

SANDBOX = Sandbox()
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=12)
    | st.binary(max_size=8)
)
VALUES = st.recursive(
    ATOMS,
    lambda some: (
        st.lists(some, max_size=4)
        | st.tuples(some, some)
        | st.dictionaries(st.text("abc", max_size=3) | st.integers(0, 9), some, max_size=3)
        | st.frozensets(st.integers(0, 9), max_size=3)
        | st.sets(st.text("abc", max_size=2), max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(value=VALUES)
def test_a_value_comes_back_from_the_sandbox_as_it_is_written_here(value: object) -> None:
    ran = SANDBOX.run("def f(x): return x", (value,))
    assert ran.line == line_of(value), ran


@given(value=VALUES)
def test_a_literal_is_read_back(value: object) -> None:
    text = repr(value)
    if "frozenset" not in text and "nan" not in text and "inf" not in text and "set()" not in text:
        assert line_of(value_of(text)) == line_of(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1), (1, 1.0), (0.0, -0.0), (None, "null"), ([], ()), ({}, set()), ("1", 1),
        ([1, 2], [2, 1]), (["list"], [[]]), (b"a", "a"), ("a", ["a"]), ({1}, frozenset([1])),
        (False, None), ({"a": 1}, {"a": True}), ("nan", float("nan")), (["int", "1"], 1),
    ],
)  # fmt: skip
def test_what_differs_in_value_or_type_is_written_otherwise(one: object, other: object) -> None:
    assert line_of(one) != line_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({3, 1, 2}, {2, 3, 1}),
        (float("nan"), float("nan")), ([1, (2, "a")], [1, (2, "a")]),
    ],
)  # fmt: skip
def test_what_is_equal_is_written_alike(one: object, other: object) -> None:
    assert line_of(one) == line_of(other)


class Equal:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Number(int):
    pass


def deep(times: int) -> list[object]:
    value: list[object] = []
    for _ in range(times):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        Equal(), [Equal()], Number(1), range(3), len, int, 1j, ..., "\ud800", "\ufffd", deep(30),
        deep(100_000), 10**400, "x" * 5_000, list(range(2_000)), [["x" * 300] * 30] * 30,
        bytes(9_000),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_plain_data_or_too_large_is_no_value(value: object) -> None:
    with pytest.raises(NoValue):
        line_of(value)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "[1", "1)", "1) + (1", "0) or (True", "__import__('os')", "[1] * 3", "f'{1}'",
        "lambda: 1", "1 if 1 else 2", "*[1]", "x = 1", "x := 1", "1; 2", "1\n2", "(" * 3_999,
        "-" * 3_000 + "1", "9" * 3_999, "[" * 90 + "]" * 90, "'" + "a" * 5_000 + "'", "1 # one",
        "{[]: 1}", "{**{}}", "\x00", "1\x00", "\u0661", "exit()", "print", "range(3)",
        "9**9**9", "1,\n)\nimport os\n(", "\ud800", "'\\ud800'", "1 # 2", "'#' # 2",
    ],
)  # fmt: skip
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(NoValue):
        arguments_of(text) if text else value_of(text)


def test_arguments_are_what_stands_between_brackets() -> None:
    assert arguments_of("") == ()
    assert arguments_of(" 3 ") == arguments_of("3,") == (3,)
    assert arguments_of("(1, 2)") == ((1, 2),)
    assert arguments_of("'#', {'#': 1}") == ("#", {"#": 1})
    assert arguments_of("3, 'a', [1.5, {'b': None}]") == (3, "a", [1.5, {"b": None}])
