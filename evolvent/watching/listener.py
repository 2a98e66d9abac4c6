"""An open port of this machine, and who could reach it."""

import errno
import ipaddress
import socket

from evolvent.errors import UsageError


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address or a name."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None)
    except (OSError, UnicodeError):
        return True  # it cannot be bound either, and that is said
    return all(ipaddress.ip_address(str(one[4][0])).is_loopback for one in found)


def bind(name: str, port: int, option: str = "--port") -> socket.socket:
    """An open port, before anything that takes long. Raises `UsageError`, with the `option` that
    names another."""
    try:
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        listener = socket.create_server((name, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {name} is in use: choose another, for example {option} {port + 1}"
            ) from None
        raise UsageError(
            f"cannot listen at {name}, port {port} ({error.strerror}): name an address of this "
            "machine with --host"
        ) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """What a browser on this machine calls it."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
