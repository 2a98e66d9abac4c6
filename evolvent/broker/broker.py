"""A real Apache Kafka on this machine: starts, stops, kills and wipes one broker of one folder.

DATA/broker.json  who runs; locked by the broker for as long as it lives
DATA/log/         Kafka's own files      DATA/*.properties, DATA/broker.log, DATA/broker.out
"""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from evolvent.broker.jars import classpath, jar_cache, java
from evolvent.broker.probe import cluster_at
from evolvent.broker.settings import JAVA_OPTIONS, log4j_properties, server_settings
from evolvent.broker.state import POLL_SECONDS, BrokerState, Running
from evolvent.errors import UsageError

DEFAULT_PORT = 9092
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_CAUSE = re.compile(r"[\w.$ :\"]*(Exception|Error)\b")


class Broker:
    """One broker and its folder. Any process may hold any number of these for one folder: what
    counts is the lock on `broker.json`, which ends with the broker however it ends.

    With `proxied` it also listens at the first of these ports, and says there that it is at the
    second: whoever comes through a proxy at the second stays behind it. `settings` are lines of
    server.properties that take the place of ours.

    Raises `UsageError` for whatever a user can mend.
    """

    def __init__(
        self,
        data: Path,
        port: int = DEFAULT_PORT,
        proxied: tuple[int, int] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        if not 1 <= port <= 65534:
            raise UsageError(f"port {port}: choose one from 1 to 65534 (Kafka takes the next too)")
        self.data = data.absolute()
        self.port = port
        self._proxied, self._settings = proxied, settings or {}
        self.log_file = self.data / "broker.log"
        self._state = BrokerState(self.data)
        self._log = self.data / "log"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> bool:
        """Return when the broker serves; false if it ran already."""
        program, jars = java(), classpath(jar_cache())
        self._claim_folder()
        launched = False
        while (running := self.running()) is None:
            with self._state.claim() as state:
                if state is not None:
                    self._prepare(program, jars)
                    self._launch(program, jars, state)
                    launched = True
        if running.port != self.port:
            raise UsageError(
                f"the broker of {self.data} runs at port {running.port}: use that, or stop it first"
            )
        self._await_ready()
        return launched

    def stop(self) -> bool:
        """End the broker in order; false if none ran. One that does not listen is killed."""
        return self._end(signal.SIGTERM)

    def kill(self) -> bool:
        """End the broker with SIGKILL, as a crash would, and wait until it is gone."""
        return self._end(signal.SIGKILL)

    def wipe(self) -> bool:
        """Stop the broker and delete its folder; false if there is none."""
        if not self.data.exists():
            return False
        if not self._state.exists:
            raise UsageError(f"{self.data} is not the folder of a broker of ours: nothing deleted")
        self.stop()
        shutil.rmtree(self.data)
        return True

    def running(self) -> Running | None:
        """The live broker of this folder, whichever process started it."""
        return self._state.running()

    def ready(self) -> bool:
        """Whether clients are served, by the broker of this folder and no other."""
        cluster = cluster_at(self.port)
        return cluster is not None and cluster == self._cluster_id()

    def _claim_folder(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            if not self._state.exists:
                if any(self.data.iterdir()):
                    raise UsageError(
                        f"{self.data} holds other data, perhaps of another broker: choose an empty "
                        "or new folder with --dir"
                    )
                self._state.create()
        except OSError as error:
            raise UsageError(f"{self.data} cannot be written: {error.strerror}") from None

    def _prepare(self, program: Path, jars: str) -> None:
        self._check_ports()
        (self.data / "log4j2.properties").write_text(log4j_properties(), encoding="utf-8")
        settings = self.data / "server.properties"
        if not self._log.exists():
            # Under another name until it is whole: an interrupted start leaves nothing half made.
            aside = self._log.with_suffix(".new")
            shutil.rmtree(aside, ignore_errors=True)
            settings.write_text(self._properties(aside.name), encoding="utf-8")
            identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            tool = ("kafka.tools.StorageTool", "format", "--standalone", "-c", settings.name)
            self._run((str(program), *JAVA_OPTIONS, "-cp", jars, *tool, f"--cluster-id={identity}"))
            aside.rename(self._log)
        settings.write_text(self._properties(self._log.name), encoding="utf-8")

    def _properties(self, log: str) -> str:
        settings = server_settings(log, self.port, self._proxied) | dict(self._settings)
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _check_ports(self) -> None:
        for port in (self.port, self.port + 1):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise UsageError(
                        f"port {port} cannot be used ({error.strerror}): stop what listens there, "
                        f"or choose another --port (Kafka takes {self.port} and {self.port + 1})"
                    ) from None

    def _run(self, command: tuple[str, ...]) -> None:
        done = subprocess.run(
            command,
            cwd=self.data,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_SECONDS,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise UsageError(
                f"{self.data} cannot be formatted: {said[-1] if said else 'no reason'}"
            )

    def _launch(self, program: Path, jars: str, state: int) -> None:
        """A daemon that inherits the lock on `state`, and with it the proof that it lives."""
        logging = "-Dlog4j2.configurationFile=log4j2.properties"
        java_command = (str(program), *JAVA_OPTIONS, logging, "-cp", jars, "kafka.Kafka")
        # The shell ends at once, so that the broker is no child of the caller.
        script = '"$@" > broker.out 2>&1 < /dev/null & echo $!'
        launched = subprocess.run(
            ("/bin/sh", "-c", script, "sh", *java_command, "server.properties"),
            cwd=self.data,
            env=_environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            pass_fds=(state,),
            start_new_session=True,
        )
        self._state.write(state, Running(pid=int(launched.stdout), port=self.port))

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.ready():
            if self.running() is None:
                raise UsageError(f"the broker ended while it started: {self._last_error()}")
            if time.monotonic() > deadline:
                raise UsageError(
                    f"the broker is not ready after {_START_SECONDS:.0f} s: {self._last_error()}"
                )
            time.sleep(POLL_SECONDS)

    def _last_error(self) -> str:
        for file in (self.log_file, self.data / "broker.out"):
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            # Log lines begin with the date and only head the cause, which is a Java exception.
            causes = [line for line in lines if not line[:1].isdigit() and _CAUSE.match(line)]
            if causes:
                return f"{causes[-1].strip()} (see {file})"
        return f"see {self.log_file}"

    def _cluster_id(self) -> str | None:
        try:
            lines = (self._log / "meta.properties").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        found = (line.partition("=")[2] for line in lines if line.startswith("cluster.id="))
        return next(found, None)

    def _end(self, how: signal.Signals) -> bool:
        if (running := self.running()) is None:
            return False
        for chosen in (how, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(running.pid, chosen)
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                if self.running() is None:
                    return True
                time.sleep(POLL_SECONDS)
        raise UsageError(f"the broker (process {running.pid}) does not end: end it by hand")


def _environment() -> dict[str, str]:
    # Java reads file names in the locale's encoding.
    return {**os.environ, "JAVA_HOME": str(java().parent.parent), "LC_ALL": "C.UTF-8"}
