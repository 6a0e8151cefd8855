"""supervisord of one home: starts, watches and stops processes, and starts again what dies."""

from __future__ import annotations

import configparser
import fcntl
import io
import os
import re
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from inspection.errors import ServiceError, SettingsError
from vqi.orphans import end, find_orphans

REPOSITORY = Path(__file__).resolve().parent.parent
LONGEST_SOCKET = 95  # bytes; the system takes 108, and supervisord adds a suffix at first


@dataclass(frozen=True)
class Program:
    """One supervised process.

    Attributes:
        ready: tells whether it does its work, not merely runs.
        port: where it listens, if it does; the variable `port_setting` moves it. `scheme` is of its address.
        user: whom it runs as, where that is not the present user.
        stop_signal: what asks it to end in good order.
    """

    name: str
    command: list[str]
    ready: Callable[[], bool]
    port: int | None = None
    scheme: str = "http"
    port_setting: str = ""
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = REPOSITORY
    stop_signal: str = "TERM"

    @property
    def address(self) -> str:
        """Where a person or a client finds it; empty when it does not listen."""
        return f"{self.scheme}://127.0.0.1:{self.port}" if self.port is not None else ""


class Supervisor:
    """Talks to supervisord over its unix socket in ``HOME/supervisor``."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "supervisor"
        self.logs = home / "logs"
        self._socket = self.folder / "socket"
        if len(str(self._socket)) > LONGEST_SOCKET:
            raise ServiceError(
                f"the path of VQI_HOME is too long for a socket in it: {home}; choose a shorter one"
            )
        self.url = f"unix://{self._socket}"

    def answers(self) -> bool:
        """Tells whether it runs."""
        try:
            self._call("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def launch(self) -> None:
        """Starts it, unless it runs; what a crashed one left behind does not stand in the way."""
        if self.answers():
            return
        (self.folder / "programs").mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        for leftover in (self.folder / "programs").glob("*.ini"):
            leftover.unlink()
        self._socket.unlink(missing_ok=True)
        end(find_orphans(self.url))
        configuration = {
            "unix_http_server": {"file": str(self._socket), "chmod": "0700"},
            "supervisord": {
                "logfile": str(self.logs / "supervisor.log"),
                "pidfile": str(self.folder / "pid"),
                "childlogdir": str(self.logs),
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "include": {"files": str(self.folder / "programs" / "*.ini")},
        }
        file = self.folder / "supervisord.conf"
        _write_private(file, _ini(configuration))
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)  # noqa: S603
        if done.returncode != 0:
            raise ServiceError(f"supervisord does not start: {(done.stderr or done.stdout).strip()}")
        wait_until(self.answers, 30, f"supervisord does not answer; its log is {self.logs}/supervisor.log")

    def state(self, name: str) -> str:
        """Returns RUNNING, STARTING, STOPPED, BACKOFF, FATAL, ...; a program never started is STOPPED."""
        try:
            return str(self._call("getProcessInfo", name)["statename"])
        except (OSError, xmlrpc.client.Error):
            return "STOPPED"

    def pid(self, name: str) -> int:
        """Returns the process id of a running program."""
        return int(self._call("getProcessInfo", name)["pid"])

    def outdated(self, program: Program) -> bool:
        """Tells whether a program would start with other settings now than it did."""
        file = self._file(program.name)
        return not file.exists() or file.read_text(encoding="utf-8") != self._section(program)

    def start(self, program: Program) -> None:
        """Starts a program, or starts it again, with the command line and environment that it has now."""
        _write_private(self._file(program.name), self._section(program))
        self._call("reloadConfig")
        if program.name in {info["name"] for info in self._call("getAllProcessInfo")}:
            self.stop(program.name)
            self._call("removeProcessGroup", program.name)
        self._call("addProcessGroup", program.name)

    def stop(self, name: str) -> None:
        """Stops one program; one that does not run is no error."""
        if self.state(name) in ("RUNNING", "STARTING", "BACKOFF"):
            self._call("stopProcess", name)

    def shutdown(self) -> bool:
        """Stops every program and supervisord itself, and waits for the end; tells whether any ran.

        Processes that such a program had started and left behind go too.
        """
        running = self.answers()
        if running:
            process = psutil.Process(int(self._call("getPID")))
            self._call("shutdown")
            process.wait(timeout=120)
        orphans = find_orphans(self.url)
        end(orphans)
        return running or bool(orphans)

    def _call(self, method: str, *arguments: str) -> Any:  # noqa: ANN401
        transport = SupervisorTransport(None, None, self.url)
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _file(self, name: str) -> Path:
        return self.folder / "programs" / f"{name}.ini"

    def _section(self, program: Program) -> str:
        options = {
            "command": shlex.join(program.command).replace("%", "%%"),
            "directory": str(program.directory),
            "autorestart": "true",
            "startsecs": "1",
            "startretries": "10",
            "stopsignal": program.stop_signal,
            "stopwaitsecs": "30",
            "stopasgroup": "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(self.logs / f"{program.name}.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "3",
            **({"user": program.user} if program.user else {}),
        }
        if program.environment:
            pairs = (f"{name}={_quoted(name, value)}" for name, value in program.environment.items())
            options["environment"] = ",".join(pairs).replace("%", "%%")
        return _ini({f"program:{program.name}": options})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps two commands from starting and stopping at the same time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def wait_until(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Waits until a condition holds.

    Raises:
        ServiceError: it does not within `seconds`; the message is `complaint`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ServiceError(complaint)
        time.sleep(0.1)


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _quoted(name: str, value: str) -> str:
    # supervisord knows no escapes, and takes what follows a blank and ; or # for a comment.
    quote = "'" if '"' in value else '"'
    if quote in value or value != value.strip("'\"") or re.search(r"\n|\s[;#]", value):
        raise SettingsError(f"{name} holds quotation marks, a line break or a comment sign: change it")
    return f"{quote}{value}{quote}"


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
