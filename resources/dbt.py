"""The dbt project as the assets run it: its address book, its manifest, its command line.

dbt reads no environment variables here: the profile is written from the settings.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import psutil
import yaml
from dagster_dbt import DbtCliResource
from packaging.version import Version, parse
from psycopg2.extensions import parse_dsn

from inspection.errors import ServiceError, SettingsError
from inspection.profiles import load_profile
from inspection.settings import Settings
from inspection.warehouse import ensure_warehouse, transaction

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
PROFILE = "inspection"
# While one model waits for the warehouse, dbt works on another. No more: to replace a view or a table, dbt
# drops the views that stand on it, and several at a time would wait for each other.
THREADS = 2
EXECUTABLE = str(Path(sys.executable).with_name("dbt"))
MADE_BY_DBT = ("target", "logs", "dbt_packages")


class WarehouseDbt(DbtCliResource):
    """dbt's command line on the warehouse."""

    @property
    def _cli_version(self) -> Version:
        # The base class starts dbt to ask, which takes seconds and looks for newer releases on the net.
        return parse(metadata.version("dbt-core"))


def dbt_resource(settings: Settings) -> WarehouseDbt:
    """Returns dbt for the warehouse that the settings name now.

    Raises:
        SettingsError: there is no warehouse yet.
    """
    settings.dsn("warehouse")
    return WarehouseDbt(
        project_dir=str(PROJECT), profiles_dir=str(write_profile(settings)), dbt_executable=EXECUTABLE
    )


def target_path(settings: Settings) -> Path:
    """Returns where dbt leaves what it made: compiled SQL, run results, the docs site."""
    return settings.root / "dbt" / "target"


def docs_folder(settings: Settings) -> Path:
    """Returns where the docs site lies."""
    return settings.root / "dbt" / "docs"


def build_docs(settings: Settings) -> None:
    """Makes the docs site of all models, with the tables and columns that the warehouse has now.

    Raises:
        ServiceError: dbt cannot; the message holds what it says.
    """
    folder = docs_folder(settings)
    run_dbt(["docs", "generate"], write_profile(settings), folder)


def run_dbt(words: list[str], profiles: Path, target: Path) -> None:
    """Runs dbt outside of Dagster.

    Args:
        words: the command and its options.
        profiles: folder that `write_profile` made.
        target: where dbt leaves what it makes.

    Raises:
        ServiceError: dbt cannot; the message holds what it says.
    """
    command = [EXECUTABLE, "--quiet", *words, "--project-dir", str(PROJECT), "--profiles-dir", str(profiles)]
    command += ["--target-path", str(target), "--log-path", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise ServiceError(f"dbt {words[0]} fails on {PROJECT}: {(done.stdout + done.stderr).strip()}")


def build_words(settings: Settings) -> list[str]:
    """Returns the words after ``dbt build`` that tell the models which code builds them, and for whom.

    Models that were built by other code, or before that was noted, are refreshed in full: an increment
    would mix both.
    """
    digest = project_digest()
    # The same for every build, as dbt reads the project anew when its variables are others.
    floor = load_profile(settings.profile).training.minimum_per_class
    window = settings.part_window_seconds
    told = {"code": digest, "minimum_per_class": floor, "part_window_seconds": window}
    words = ["--vars", json.dumps(told)]
    dsn = settings.dsn("warehouse")
    ensure_warehouse(dsn)
    with transaction(dsn) as warehouse:
        warehouse.execute("select coalesce(bool_and(code = %s), false) from builds.progress", (digest,))
        if warehouse.fetchone() == (False,):
            words.append("--full-refresh")
    return words


def end_leftover(target: Path) -> int:
    """Ends what a killed run has left at work in `target`; returns how many processes that were.

    Only for who holds the pool of dbt: nobody else may be building then.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if {EXECUTABLE, str(target)} <= set(process.cmdline()):
                process.send_signal(signal.SIGINT)  # dbt cancels its query
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # another user's, or gone: not ours to end
    stubborn = psutil.wait_procs(found, timeout=20)[1]  # as one does that a shell started in the background
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=20)
    return len(found)


def write_profile(settings: Settings) -> Path:
    """Writes the warehouse's address for dbt, readable by its owner alone; returns its folder."""
    folder = settings.root / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({PROFILE: {"target": "warehouse", "outputs": {"warehouse": _output(settings)}}})
    file = folder / "profiles.yml"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    return folder


def ensure_manifest(settings: Settings) -> Path:
    """Returns the project's manifest, made anew when the project's files are others; needs no database.

    By what the files hold and not by their times: a home may be used by several checkouts in turn.

    Raises:
        ServiceError: the project does not parse; the message holds what dbt says.
    """
    folder = write_profile(settings)
    manifest, made_of = folder / "manifest.json", folder / "manifest.sha256"
    with _locked(folder / "manifest.lock"):
        digest = project_digest()
        if not (manifest.exists() and made_of.exists() and made_of.read_text(encoding="utf-8") == digest):
            # The digest is from before dbt reads: what changes meanwhile is read next time.
            _parse(folder).replace(manifest)
            made_of.write_text(digest, encoding="utf-8")
    return manifest


def project_digest() -> str:
    """Returns what tells one state of the project's files, and of dbt, from another."""
    digest = hashlib.sha256(metadata.version("dbt-core").encode())
    for path in sorted(PROJECT.rglob("*")):
        name = path.relative_to(PROJECT)
        if path.is_file() and name.parts[0] not in MADE_BY_DBT:
            data = path.read_bytes()
            digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()


def _output(settings: Settings) -> dict[str, object]:
    try:
        parts = parse_dsn(settings.dsn("warehouse"))
    except SettingsError:
        # No server has been made yet. To read the project dbt wants an address, and does not use it.
        parts = {"host": settings.host, "user": "vqi", "password": "", "dbname": "warehouse"}
    tls = {key: value for key, value in parts.items() if key.startswith("ssl")}
    return {
        "type": "postgres",
        "host": parts.get("host", "localhost"),
        "port": int(parts.get("port", 5432)),
        "user": parts.get("user", ""),
        "password": parts.get("password", ""),
        "dbname": parts.get("dbname", "warehouse"),
        "schema": "marts",
        "threads": THREADS,
        **tls,
    }


def _parse(folder: Path) -> Path:
    """Lets dbt read the project, apart from what runs write; returns the manifest."""
    target = folder / "parse"
    run_dbt(["parse"], folder, target)
    return target / "manifest.json"


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Holds a lock among processes: several load the definitions at a time."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
