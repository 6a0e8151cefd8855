"""What moving the plant's tables costs: a first sync beside a plain binary COPY of them, and ticks.

A server of its own is made for the run, with source databases and warehouse on it, and filled by the
simulator at several scales. Times are of the work alone, in this process; peak memory and the tick with
nothing new are of a process of their own, its start included.
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from inspection.ingestion.tables import TABLES, raw_schema
from inspection.ingestion.tick import ingest
from inspection.progress import report
from inspection.settings import Settings
from inspection.simulation.volume import simulate_volume
from inspection.warehouse import transaction
from vqi.programs import ensure_started, stop_all

SCALES = (0.1, 1.0, 2.0, 4.0)
CHANGED_ROWS = 1_000
REPEATS = 3
KIB_IN_MIB = 1024
TICK = """
import sys
from pathlib import Path
from inspection.ingestion.tables import TABLES
from inspection.ingestion.tick import ingest
from inspection.settings import Settings
settings = Settings(home=Path(sys.argv[1]), postgres_port=int(sys.argv[2]))
for name in TABLES:
    ingest(name, settings)
# Of this program alone; getrusage would tell of the one that started it as well.
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak.split()[1])
"""

Result = dict[str, Any]


def run(scales: tuple[float, ...] = SCALES) -> Result:
    """Measures each scale, of which 1 is the plant's full volume.

    Args:
        scales: in rising order; they include 0.1 and 1.
    """
    measured: dict[float, dict[str, float]] = {}
    with own_server() as settings:
        for done, scale in enumerate(scales):
            report("ingest", done, len(scales), f"{scale:g} times the full volume")
            simulate_volume(settings, scale)
            _age(settings)
            measured[scale] = _measure(settings)
        report("ingest", len(scales), len(scales))
    full, tenth = measured[1.0], measured[0.1]
    return {
        "name": "ingest",
        "machine": machine(),
        "ratios": {
            "first_sync_over_copy": full["first_sync_s"] / full["copy_s"],
            "tick_1m_over_100k": full["tick_s"] / tenth["tick_s"],
        },
        "measured": {
            f"{name} at x{scale:g}": round(value, 3)
            for scale, values in measured.items()
            for name, value in values.items()
        },
    }


def machine() -> str:
    """Returns what the figures were measured on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


@contextmanager
def own_server() -> Iterator[Settings]:
    """A database server for the run; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="vqi-bench-") as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        Path(folder).chmod(0o755)  # root's server runs as another user
        settings = Settings(home=Path(folder), postgres_port=port)
        ensure_started(settings, "postgres")
        try:
            yield settings
        finally:
            stop_all(settings)


def sync(settings: Settings) -> None:
    """Ticks each source of the plant once."""
    for name in TABLES:
        ingest(name, settings)


def forget(settings: Settings) -> None:
    """Makes the next tick of each source its first one."""
    with transaction(settings.dsn("warehouse")) as warehouse:
        for name in TABLES:
            warehouse.execute(f"drop schema if exists {raw_schema(name)} cascade")
            warehouse.execute(f"drop schema if exists {raw_schema(name)}_staging cascade")
        warehouse.execute("truncate ingestion.progress")


def _measure(settings: Settings) -> dict[str, float]:
    copies, syncs = [], []
    for _ in range(REPEATS):  # in turn, so that what else the machine does meets both
        copies.append(_timed(lambda: _copy(settings)))
        forget(settings)
        syncs.append(_timed(lambda: sync(settings)))
    ticks = []
    for _ in range(REPEATS):
        _change(settings)
        ticks.append(_timed(lambda: ingest("qms", settings)))
    idle, _ = _process(settings)
    forget(settings)
    _, peak = _process(settings)
    return {
        "rows": _rows(settings),
        "copy_s": min(copies),
        "first_sync_s": min(syncs),
        "tick_s": statistics.median(ticks),
        "idle_tick_process_s": idle,
        "first_sync_peak_mib": peak,
    }


def _age(settings: Settings) -> None:
    """Makes the rows of the plant as old as they are at a plant that has not been filled just now."""
    for name, tables in TABLES.items():
        with closing(psycopg2.connect(settings.dsn(name))) as connection, connection.cursor() as source:
            connection.autocommit = True
            for table in tables:
                source.execute(f"update {table.place} set updated_at = updated_at - interval '30 days'")
                source.execute(f"vacuum (full, analyze) {table.place}")


def _copy(settings: Settings) -> None:
    for name, tables in TABLES.items():
        for table in tables:
            with transaction(settings.dsn(name)) as source:
                source.execute(
                    """
                    select string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', ')
                    from pg_attribute where attrelid = %s::regclass and attnum > 0
                    """,
                    (table.place,),
                )
                ((columns,),) = source.fetchall()
            with transaction(settings.dsn("warehouse")) as warehouse:
                warehouse.execute("create schema if not exists copied")
                warehouse.execute(f"drop table if exists copied.{table.name}")
                warehouse.execute(f"create table copied.{table.name} ({columns})")
            _pipe(settings, name, table.place, f"copied.{table.name}")


def _pipe(settings: Settings, source: str, place: str, target: str) -> None:
    reading, writing = os.pipe()

    def send() -> None:
        with os.fdopen(writing, "wb") as sink, transaction(settings.dsn(source)) as cursor:
            cursor.copy_expert(f"copy {place} to stdout (format binary)", sink)

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(reading, "rb") as stream, transaction(settings.dsn("warehouse")) as cursor:
        cursor.copy_expert(f"copy {target} from stdin (format binary)", stream)
    sender.join()


def _change(settings: Settings) -> None:
    with transaction(settings.dsn("qms")) as qms:
        qms.execute(
            """
            update qms.inspection_results set updated_at = clock_timestamp()
            where result_id in (select result_id from qms.inspection_results limit %s)
            """,
            (CHANGED_ROWS,),
        )


def _rows(settings: Settings) -> float:
    rows = 0
    for name, tables in TABLES.items():
        with transaction(settings.dsn(name)) as source:
            for table in tables:
                source.execute(f"select count(*) from {table.place}")
                rows += source.fetchall()[0][0]
    return float(rows)


def _process(settings: Settings) -> tuple[float, float]:
    """Returns seconds and peak memory in MiB of a process that ticks once."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", TICK, str(settings.root), str(settings.postgres_port)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return time.perf_counter() - begun, int(done.stdout) / KIB_IN_MIB


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
