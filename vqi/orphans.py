"""Finds and ends processes that outlived what had started them.

supervisord marks each process that it starts, and so what that starts in turn, with its own address and
the program's name in the environment. Only processes of this Python environment are looked at.

As a program it clears the way and then becomes the command that follows:

    python -m vqi.orphans NAME COMMAND ...
"""

from __future__ import annotations

import os
import signal
import sys

import psutil

SERVER = "SUPERVISOR_SERVER_URL"
PROGRAM = "SUPERVISOR_PROCESS_NAME"


def find_orphans(server: str, program: str | None = None) -> list[psutil.Process]:
    """Returns the processes started by the supervisor at `server`, of one program or of all.

    The present process and those above it are left out.
    """
    present = psutil.Process()
    spared = {present.pid, *(parent.pid for parent in present.parents())}
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if process.pid in spared or not command or not command[0].startswith(sys.prefix):
                continue
            marks = process.environ()
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # another user's, or gone: not ours to end
        if marks.get(SERVER) == server and program in (None, marks.get(PROGRAM)):
            found.append(process)
    return found


def end(processes: list[psutil.Process], seconds: float = 20) -> None:
    """Asks processes to end, and kills those that have not after `seconds`."""
    for process in processes:
        try:
            # PostgreSQL waits for its clients on TERM, on INT it does not.
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue
    for process in psutil.wait_procs(processes, timeout=seconds)[1]:
        process.kill()


def main() -> None:
    """Ends what is left of the program, then becomes it."""
    name, *command = sys.argv[1:]
    server = psutil.Process().environ().get(SERVER, "")
    end(find_orphans(server, name), seconds=5)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
