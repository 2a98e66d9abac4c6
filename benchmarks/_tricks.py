"""Programs that want out of the sandbox, answers that only look right, and what monty has not."""

_TRIED = (
    "open('/etc/passwd').read()",
    "open('/tmp/written', 'w')",
    "os.listdir('/')",
    "os.system('id')",
    "os.fork()",
    "os.kill(1, 9)",
    "os.environ['PATH']",
    "os._exit(0)",
    "pathlib.Path('/etc/passwd').read_text()",
    "().__class__.__base__.__subclasses__()",
    "(lambda: 0).__globals__",
    "(lambda: 0).__code__",
    "'{0.__class__}'.format(f)",
    "__import__('os')",
    "globals()",
    "sys.modules",
    "sys.exit(0)",
    "asyncio.run(asyncio.open_connection('127.0.0.1', 22))",
    "[0] * 10**10",
    "10**10**9",
    "f(x)",
    "'x' * 10**9",
    "eval('(' * 100_000)",
)
HELD = (
    *(
        f"import asyncio, json, os, pathlib, sys\ndef f(x):\n    return str({tried})"
        for tried in _TRIED
    ),
    "def f(x):\n    while True: pass",
    "def f(x):\n    while True: print('x' * 1000)",
    "def f(x):\n    x = [0] * 1000\n    for _ in range(4): x = [x] * 1000\n    return x",
    "import socket\ndef f(x): return 1",
    "import subprocess\ndef f(x): return 1",
    "import ctypes\ndef f(x): return 1",
)
TRICKS = (
    "def f(x):\n    import sys\n    sys.exit(0)",
    "import os\nos._exit(0)\ndef f(x): return 6",
    "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
    "def f(x): return {3: 6}[x]",
    "def f(x): return float(x * 2)",
    "def f(x): return str(x * 2)",
    "def f(x): return ['int', str(x * 2)]",
    "def f(x): print(x * 2)",
    "def f(x): return ARGUMENTS",
    'written = ran = lambda *given: \'["int","6"]\'\ndef f(x): return 6',
    "type = str = int = lambda *given: 6\ndef f(x): return 6",
    "def f(x): return lambda: x * 2",
    "import random\ndef f(x): return x * 2 + random.randint(0, 1)",
    "0) or (True",
)
UNSUPPORTED = (
    "def f(x):\n    yield x",
    "class A(dict):\n    pass\ndef f(x): return 1",
    "def f(x):\n    y = [x]\n    del y[0]\n    return y",
    "import heapq\ndef f(x): return 1",
    "import fractions\ndef f(x): return 1",
    "import statistics\ndef f(x): return 1",
)
