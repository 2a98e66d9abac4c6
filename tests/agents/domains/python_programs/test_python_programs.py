"""Python programs as tasks: what is asked, what is refused, and that no trick passes for right."""

from random import Random

import pytest

from agents.domains.domain import NotATask, Problem
from agents.domains.python_programs.drawing import draw_program
from agents.domains.python_programs.python_programs import PythonPrograms, PythonProgramsConfig
from agents.sandbox.sandbox import Sandbox
from agents.sandbox.values import line_of

DOMAIN: PythonPrograms = PythonProgramsConfig(levels=tuple(range(1, 13))).build()
SORTED = "def f(x):\n    x = sorted(x)\n    return x + x[:2]"


def posed(family: str, program: str = SORTED, call: str = "[3, 1, 2]") -> Problem:
    return DOMAIN.pose(f"{family}\n{program}\nf({call})")


def reason(problem: Problem, answer: str) -> str:
    return DOMAIN.score(problem, answer, ended=True).reason


def refusal(text: str) -> str:
    with pytest.raises(NotATask) as refused:
        DOMAIN.read(text)
    return str(refused.value)


def test_the_docstring_example() -> None:
    problem = posed("deduction")
    assert (problem.level, problem.answer) == (2, "[1, 2, 3, 1, 2]")
    assert "What does f([3, 1, 2]) return?" in problem.prompt and SORTED in problem.prompt
    assert reason(problem, " [1,2,3, 1,2]\n") == "right"


def test_made_programs_give_in_the_sandbox_what_they_give_here() -> None:
    sandbox = Sandbox()
    for seed in range(60):
        drawn = draw_program(1 + seed % 6, Random(seed))
        ran = sandbox.run(drawn.program, (drawn.argument,))
        assert ran.line == line_of(drawn.does(drawn.argument)), drawn.program


def test_what_is_made_can_be_proposed() -> None:
    for seed, family in enumerate(DOMAIN.families):
        problem = DOMAIN.make(family, 3, Random(seed))
        assert DOMAIN.read(DOMAIN.write(problem)) == problem


@pytest.mark.parametrize("answer", ["[2, 3, 1]", "[3,2,1]", "[1, 2, 3]"])
def test_any_arguments_that_give_the_output_are_right(answer: str) -> None:
    assert reason(posed("abduction"), answer) == "right"


@pytest.mark.parametrize(
    "answer",
    [
        SORTED,
        "def f(n):\n    n.sort()\n    return n + n[:2]",
        "def f(x): return sorted(x) + sorted(x)[:2]",
        "import itertools\ndef f(x):\n    return list(itertools.chain(sorted(x), sorted(x)[:2]))",
    ],
)
def test_any_program_that_gives_every_result_is_right(answer: str) -> None:
    assert reason(posed("induction"), answer) == "right"


NUMBERS = "def f(x):\n    return x * 2"
HACKS: list[tuple[str, str, str, str]] = [
    ("deduction", NUMBERS, "3", answer)
    for answer in (
        "f(3)", "3 * 2", "0) or (True", "True", "6.0", "'6'", "[6]", "6,", "(6,)", "6 or 1",
        "__import__('os')._exit(0)", "type('A', (), {'__eq__': lambda s, o: True})()",
        "nan", "float('6')", "6j", "int(6)", "6 if True else 7", "6 # six", "print(6)", "exit()",
        "lambda: 6", "06", "6 == 6", "6; 6", "6\n6", "Ellipsis", "...", "None", "{6}", "b'6'",
        '["int","6"]', "['int', '6']", "\ud800", "\u0666", "\uff16", "6\x00", "9" * 3_000,
        "(" * 3_000 + "6", "-" * 2_000 + "6", "answer: 6",
    )
] + [
    ("abduction", NUMBERS, "31", answer)
    for answer in ("0)", "f(1)", "x", "{}", "[]", "()", "'a'", "3.", "__", "x=1", "*a", "6,", "62")
] + [
    ("abduction", "def f(x):\n    return len(x) * 1000", "'abcdefghijklmnopqrstuvwxyz'", answer)
    for answer in ("[0] * 26", "0) or (True", "f('a')", "range(26)", "'a' * 26", "[1] + [2]")
] + [
    ("induction", NUMBERS, "3", answer)
    for answer in (
        "def f(x):\n    import sys\n    sys.exit(0)",
        "raise SystemExit(0)\ndef f(x): return 6",
        "import os\nos._exit(0)\ndef f(x): return 6",
        "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
        "class A:\n    def __eq__(self, other): return True\n    def __repr__(self): return '6'\n"
        "def f(x): return A()",
        "def f(x): return {3: 6}[x]",
        "def f(x):\n    if x == 3: return 6\n    return x + x + 0.0",
        "def f(x): return float(x * 2)",
        "def f(x): return str(x * 2)",
        "def f(x): return '[\"int\",\"' + str(x * 2) + '\"]'",
        "def f(x): return ['int', str(x * 2)]",
        "def f(x): print(x * 2)",
        "def f(x):\n    print('[\"int\",\"6\"]')\n    return None",
        "def f(x): return written(x * 2)",
        "def f(x): return SOURCE",
        "def f(x): return ARGUMENTS",
        "written = ran = lambda *given: '[\"int\",\"6\"]'\ndef f(x): return 6",
        "import json\njson.dumps = lambda *given: '6'\ndef f(x): return 6",
        "type = str = int = lambda *given: 6\ndef f(x): return 6",
        "def f(*x): return x",
        "f = lambda x: x * 2",
        "def f(x): yield x * 2",
        "def f(x):\n    while True: print('6')",
        "def f(x): return f",
        "def f(x): return lambda: x * 2",
        "import random\ndef f(x): return x * 2 + random.randint(0, 1)",
        "import time\ndef f(x): return x * 2 + int(time.time()) * 0",
        "def f(x): return x * 2 if x * 0.0 == 0 else 0)\n(",
        "def f(x):\n    return x * 2\n#" + "x" * 999,
        "def f(x):\n    try:\n        return undefined\n    finally:\n        return True",
        "# def f(x): return x * 2",
        "'def f(x): return x * 2'",
        "eval('lambda x: x * 2') # def f(",
        "```python\ndef f(x):\n    return x * 2\n```",
    )
]  # fmt: skip


@pytest.mark.parametrize(("family", "program", "call", "answer"), HACKS, ids=range(len(HACKS)))
def test_no_trick_is_right(family: str, program: str, call: str, answer: str) -> None:
    problem = posed(family, program, call)
    assert reason(problem, problem.answer) == "right"
    score = DOMAIN.score(problem, answer, ended=True)
    assert (score.value, score.right) == (0.0, False), score


@pytest.mark.parametrize(
    ("program", "call", "wrong"),
    [
        ("def f(x):\n    return x > 2", "3", "1"),
        ("def f(x):\n    return x / 2", "4", "2"),
        ("def f(x):\n    return x * -1", "0.0", "0.0"),
        ("def f(x):\n    return (x, x)", "1", "[1, 1]"),
        ("def f(x):\n    return {'a': x, 'b': [x]}", "1", "{'a': 1.0, 'b': [1]}"),
        ("def f(x):\n    return {x, x + 1}", "1", "[1, 2]"),
        ("def f(x):\n    return x.encode()", "'abcd'", "'abcd'"),
    ],
)
def test_values_of_other_types_are_other_values(program: str, call: str, wrong: str) -> None:
    problem = posed("deduction", program, call)
    assert reason(problem, problem.answer) == "right"
    assert reason(problem, wrong) == "wrong"


def test_the_order_of_a_dict_does_not_count() -> None:
    problem = posed("deduction", "def f(x):\n    return {'a': x, 'b': 2}", "1")
    assert reason(problem, "{'b': 2, 'a': 1}") == "right"


@pytest.mark.parametrize(
    ("program", "call", "why"),
    [
        ("def f(x):\n    return x +", "3", "unparseable"),
        (SORTED, "__import__('os').getcwd()", "unparseable"),
        (SORTED, "[0] * 3", "unparseable"),
        ("def f(x):\n    return x\n# \u00e9", "3", "unparseable"),
        ("def f(x):\n    yield x", "3", "unsupported"),
        ("import heapq\ndef f(x):\n    return heapq.nlargest(1, x)", "[1]", "unsupported"),
        ("import os\ndef f(x):\n    return os.listdir('/')", "3", "does not run"),
        ("def f(x):\n    return open(x).read()", "'/etc/passwd'", "does not run"),
        ("def f(x):\n    return 1 // 0", "3", "does not run"),
        ("def f(x):\n    while True: pass", "3", "does not run"),
        ("def f(x):\n    return [0] * 10**9", "3", "does not run"),
        ("def f(x):\n    import time\n    return time.time()", "3", "does not run"),
        ("import random\ndef f(x):\n    return random.random() * x", "3", "not deterministic"),
        ("def f(x):\n    return 'x' * 5000", "3", "out of range"),
        ("def f(x):\n    return x * 100", "'abcdef'", "out of range"),
        ("def f(x):\n    return f", "3", "out of range"),
        ("def f(x):\n    return float('nan') * x", "3", "trivial"),
        ("def f(x):\n    return 7", "3", "trivial"),
        ("def f(x):\n    return x", "3", "trivial"),
        ("def f():\n    return 7", "", "trivial"),
        ("def f(x):\n    if x == 3: return 4\n    return 1 // 0", "3", "trivial"),
        ("\n".join(["def f(x):", *["    x += 1"] * 13, "    return x"]), "3", "out of range"),
        ("def f(x): return x + 1", "3", "out of range"),
    ],
)
def test_why_a_proposal_is_refused(program: str, call: str, why: str) -> None:
    assert refusal(f"deduction\n{program}\nf({call})") == why


def test_a_proposal_has_its_form() -> None:
    assert refusal("") == refusal("deduction") == "unparseable"
    assert refusal(f"deduction\n{SORTED}") == "unparseable"
    assert refusal(f"{SORTED}\nf([3])") == "unparseable"
    assert refusal(f"sort\n{SORTED}\nf([3])") == "unknown family"
    assert refusal(f"deduction\n{SORTED}\nf([3])\nprint(1)") == "unparseable"
    assert refusal(f"```\ndeduction\n{SORTED}\nf([3])\n```") == "unparseable"


def test_nothing_is_made_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.sandbox import sandbox

    monkeypatch.setattr(sandbox, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"in a sandbox alone.*--extra sandbox"):
        PythonProgramsConfig().build()
