"""Whatever a program tries in the sandbox, it comes to nothing, in bubblewrap and without it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agents.sandbox import sandbox as module
from agents.sandbox.sandbox import Sandbox

TRIES = (
    "open(CANARY).read()",
    "open(CANARY, 'w').write('gone')",
    "__import__('os').remove(CANARY)",
    "os.remove(CANARY)",
    "os.unlink(CANARY)",
    "os.rename(CANARY, CANARY + 'x')",
    "os.listdir('/')",
    "os.system('rm ' + CANARY)",
    "os.popen('id').read()",
    "os.fork()",
    "os.execv('/bin/sh', ['sh'])",
    "os.kill(1, 9)",
    "os._exit(0)",
    "os.abort()",
    "os.environ['SECRET']",
    "os.getenv('SECRET')",
    "os.setuid(0)",
    "pathlib.Path(CANARY).read_text()",
    "pathlib.Path(CANARY).unlink()",
    "pathlib.Path(CANARY).write_text('gone')",
    "list(pathlib.Path('/').iterdir())",
    "().__class__.__base__.__subclasses__()",
    "(lambda: 0).__globals__",
    "(lambda: 0).__code__",
    "f.__globals__['__builtins__']",
    "f.__builtins__",
    "'{0.__class__}'.format(f)",
    "f'{f.__globals__}'",
    "getattr(f, '__glo' + 'bals__')",
    "setattr(f, '__code__', None)",
    "vars(f)",
    "globals()",
    "dir(f)",
    "breakpoint()",
    "input()",
    "help()",
    "compile('1', '', 'exec')",
    "memoryview(b'abc')",
    "eval('__import__(\"os\")')",
    "exec('import socket')",
    "sys.modules",
    "sys._getframe()",
    "sys.settrace(None)",
    "sys.exit(0)",
    "asyncio.run(asyncio.create_subprocess_exec('id'))",
    "asyncio.run(asyncio.open_connection('127.0.0.1', PORT))",
    "json.dumps.__globals__",
    "type('A', (object,), {})",
    "type(f)(None, {})",
)
MODULES = (
    *("socket", "subprocess", "ctypes", "signal", "threading", "multiprocessing", "importlib"),
    *("builtins", "inspect", "gc", "pickle", "shutil", "tempfile", "urllib.request", "resource"),
    *("mmap", "fcntl", "pty", "code", "marshal", "types", "traceback", "pydantic_monty", "agents"),
)


@pytest.fixture(scope="module", params=["monty in bubblewrap", "monty alone"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SECRET", "told")
        if request.param == "monty alone":
            patched.setattr(module, "why_not", lambda: "it is not to be used")
        assert module.level() == request.param
        opened = Sandbox()
        assert opened.run_twice("def f(x): return x", (1,)).line == '["int","1"]'
        yield opened


@pytest.mark.parametrize("tried", TRIES)
def test_what_a_program_tries_is_an_error(tried: str, sandbox: Sandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("here")
    canary.chmod(0o666)
    tmp_path.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        source = (
            "import asyncio, json, os, pathlib, sys\n"
            f"CANARY, PORT = {str(canary)!r}, {listener.getsockname()[1]}\n"
            f"def f(x):\n    return str({tried})"
        )
        ran = sandbox.run(source, (1,))
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert ran.line is None, ran
    assert ran.reason.startswith(("error: ", "unsupported: ")), ran
    assert canary.read_text() == "here"


@pytest.mark.parametrize("name", MODULES)
def test_what_reaches_out_cannot_be_imported(name: str, sandbox: Sandbox) -> None:
    ran = sandbox.run(f"def f(x):\n    import {name}\n    return 1", (1,))
    assert ran.reason == f"unsupported: No module named {name.partition('.')[0]!r}"[:73] or (
        ran.reason.startswith("unsupported: No module named")
    ), ran


def test_processes_in_bubblewrap_have_no_rights_and_see_no_file(sandbox: Sandbox) -> None:
    sandbox.run("def f(x): return x", (1,))
    own = [
        each
        for each in psutil.Process().children(recursive=True)
        if each.status() != psutil.STATUS_ZOMBIE and "subprocess" in each.cmdline()
    ]
    assert own
    assert all(0 not in each.uids() for each in own)
