"""What a program tries that wants out of its room: each prints `held`, or `ESCAPED` and how.
`CANARY` and `PORT` are a file and a listener of this machine."""

_LIBC = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == "aarch64"
def refused(result):
    print("ESCAPED" if result >= 0 else f"held {os.strerror(ctypes.get_errno())}")
"""


def _call(expression: str) -> str:
    return f"{_LIBC}\nrefused({expression})\n"


def _number(x86: int, arm: int, *arguments: str) -> str:
    return _call(f"libc.syscall({arm} if arm else {x86}, {', '.join(arguments or ('0',))})")


def _raises(statement: str, errors: str = "OSError") -> str:
    return (
        f"import os, socket\ntry:\n    {statement}\nexcept {errors} as error:\n"
        "    print('held', type(error).__name__)\nelse:\n    print('ESCAPED')\n"
    )


ENDS: dict[str, str] = {
    "read_a_file_of_the_machine": _raises("open(CANARY).read()"),
    "overwrite_a_file_of_the_machine": _raises("open(CANARY, 'w').write('gone')"),
    "read_the_users": _raises("open('/etc/passwd').read()"),
    "write_beside_the_interpreter": _raises("open(os.__file__, 'a').write('#')"),
    "write_a_gigabyte": _raises(
        "file = open('big', 'wb', 0); [file.write(bytes(1 << 20)) for _ in range(1 << 10)]"
    ),
    "write_many_files": (
        "try:\n    for number in range(100_000):\n"
        "        open(f'f{number}', 'wb').write(bytes(99_999))\n"
        "except OSError as error:\n    print('held', error.strerror)\nelse:\n    print('ESCAPED')\n"
    ),
    "run_a_shell": _raises("os.execv('/bin/sh', ['sh', '-c', 'true'])"),
    "open_a_socket": _raises("socket.socket()"),
    "open_a_socket_of_this_machine": _raises("socket.socket(socket.AF_UNIX)"),
    "reach_a_listener": _raises("socket.create_connection(('127.0.0.1', PORT), 2)"),
    "read_the_environment": "import os\nprint('ESCAPED' if 'SECRET' in os.environ else 'held')",
    "see_other_processes": (
        "import os\nnumbers = [int(name) for name in os.listdir('/proc') if name.isdigit()]\n"
        "print('ESCAPED' if max(numbers) > 9 else 'held')"
    ),
    "look_through_another_process": (
        "import os\nprint('ESCAPED' if os.path.exists('/proc/1/root' + CANARY) else 'held')"
    ),
    "become_root": _raises("os.setuid(0)"),
    "have_rights": (
        "lines = open('/proc/self/status').read().splitlines()\n"
        "found = [line.split()[1] for line in lines if line.startswith('Cap')]\n"
        "print('held' if not any(int(each, 16) for each in found[:3]) else 'ESCAPED')"
    ),
    "set_where_cores_go": _raises("open('/proc/sys/kernel/core_pattern', 'r+').close()"),
    "drop_caches": _raises("open('/proc/sys/vm/drop_caches', 'r+').close()"),
    "open_memory": _raises("open('/dev/mem', 'rb')"),
    "kill_all": _raises("os.kill(-1, 9)"),
    "push_keys": (
        "import fcntl, termios\ntry:\n    fcntl.ioctl(0, termios.TIOCSTI, b'x')\n"
        "except OSError:\n    print('held')\nelse:\n    print('ESCAPED')\n"
    ),
    "mount": _call("libc.mount(b'none', b'/scratch', b'tmpfs', 0, None)"),
    "make_a_namespace": _call("libc.unshare(0x10000000)"),
    "make_a_namespace_by_clone": _number(56, 220, "0x10000011", "0", "0", "0", "0"),
    "make_a_process_by_clone3": _number(435, 435, "0", "0"),
    "trace": _call("libc.ptrace(0, 0, 0, 0)"),
    "ring": _number(425, 425, "1", "ctypes.create_string_buffer(120)"),
    "load_a_filter": _number(321, 280),
    "read_keys": _number(250, 219, "0", "-3", "1"),
    "watch_performance": _number(298, 241, "ctypes.create_string_buffer(120)", "0", "-1", "-1"),
    "handle_faults": _number(323, 282),
    "make_a_file_of_memory": _number(319, 279, "b'x'", "0"),
    "change_the_root": _call("libc.chroot(b'/scratch')"),
    "set_the_clock": _raises("import time; time.clock_settime(time.CLOCK_REALTIME, 1.0)"),
    "take_all_memory": _raises("held = [bytes(1 << 27) for _ in range(99)]", "MemoryError"),
}  # fmt: skip
"""Programs that end and say so."""

ENDED: dict[str, str] = {
    "fork_for_ever": (
        "import os, time\nnumber = 0\ntry:\n    while number < 500:\n        if os.fork() == 0:\n"
        "            time.sleep(30)\n        number += 1\n"
        "except OSError:\n    print('held', number)\nelse:\n    print('ESCAPED', number)\n"
    ),
    "start_threads_for_ever": (
        "import threading, time\nnumber = 0\ntry:\n    while number < 500:\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "        number += 1\n"
        "except RuntimeError:\n    print('held', number)\nelse:\n    print('ESCAPED', number)\n"
    ),
    "leave_a_process_behind": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(60)\n    os._exit(0)\nprint('held')\n"
    ),
    "loop": "while True: pass",
    "sleep": "import time\ntime.sleep(60)",
    "ignore_signals": (
        "import signal, time\nfor number in range(1, 32):\n    try:\n"
        "        signal.signal(number, signal.SIG_IGN)\n    except OSError: pass\n"
        "while True: time.sleep(1)"
    ),
    "call_itself": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "nest_its_source": "eval('(' * 100_000)",
    "fall": "import ctypes\nctypes.string_at(0)",
    "print_for_ever": "while True: print('x' * 1_000)",
    "let_in_what_it_prints": "import os\nos.write(1, b'held')\nos.kill(os.getpid(), 9)",
}
"""Programs that are ended, or end as they will: what they leave behind is looked at."""

HARMLESS = (
    *("read_a_file_of_the_machine", "open_a_socket", "reach_a_listener", "read_the_environment"),
    *("see_other_processes", "read_the_users"),
)
"""Those that a plain interpreter may try: from it they escape."""
