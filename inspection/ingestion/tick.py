"""One tick of a source: what changed since the last one, loaded by dlt.

A table that has not been read yet replaces what the warehouse holds of it; after that its changes are
merged on the key. Nothing is kept between ticks but `ingestion.progress`, which is written last: a tick
that is killed at any step is simply done again, and a first one starts over.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dlt
import psycopg2
import pyarrow as pa
from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.extract import DltResource, DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from inspection.errors import ServiceError
from inspection.ingestion.changes import column_list, read_changes, read_time
from inspection.ingestion.destination import warehouse
from inspection.ingestion.files import read_file
from inspection.ingestion.progress import Progress, read_progress, write_progress
from inspection.ingestion.source import Source
from inspection.ingestion.tables import CALIBRATION, CALIBRATION_FILES, TABLES, SourceTable, raw_schema
from inspection.settings import Settings
from inspection.warehouse import ensure_warehouse, transaction

LOCK_WAIT = "20min"
MERGE: TWriteDispositionConfig = {"disposition": "merge", "strategy": "delete-insert"}


@dataclass
class Tick:
    """What is to be loaded, and what has come of it.

    Attributes:
        pipeline: loads the tables into the warehouse.
        source: the tables as dlt reads them.
        moved: progress by table, of those that were read to the end.
        failures: why a table was not, by table; the others are loaded all the same.
    """

    name: str
    pipeline: dlt.Pipeline
    source: DltSource = field(init=False)
    moved: dict[str, Progress] = field(default_factory=dict)
    failures: dict[str, ServiceError] = field(default_factory=dict)

    def raise_failures(self) -> None:
        """Raises what went wrong, in one line.

        Raises:
            ServiceError: a table could not be read.
        """
        if self.failures:
            raise ServiceError("; ".join(str(error) for error in self.failures.values()))


def ingest(name: str, settings: Settings) -> Tick:
    """Moves what changed in a source, without Dagster.

    Args:
        name: a key of `TABLES`, or ``calibration``.
        settings: give the addresses.

    Raises:
        ServiceError: the warehouse does not answer, or a table could not be read; the others are loaded.
    """
    with open_tick(name, settings) as tick:
        tick.pipeline.run(tick.source)
    tick.raise_failures()
    return tick


@contextmanager
def open_tick(name: str, settings: Settings) -> Iterator[Tick]:
    """Yields a tick to be run, alone among those of its source; keeps its progress at the end.

    Raises:
        ServiceError: the warehouse does not answer or does not take the rows.
    """
    dsn = settings.dsn("warehouse")
    try:
        ensure_warehouse(dsn)
        with exclusive(dsn, name):
            # What a killed tick left half done: its rows are read again.
            shutil.rmtree(settings.root / "dlt" / name, ignore_errors=True)
            tick = prepare(name, settings)
            yield tick
            _index(dsn, name, tick)
            write_progress(dsn, name, tick.moved)
    except (PipelineStepFailed, psycopg2.Error) as error:
        raise _told(error, name) from error


def pipeline(name: str, settings: Settings) -> dlt.Pipeline:
    """Returns the dlt pipeline that loads a source into the warehouse schema ``raw_NAME``."""
    return dlt.pipeline(
        pipeline_name=name,
        pipelines_dir=str(settings.root / "dlt"),
        destination=warehouse(credentials=settings.dsn("warehouse")),
        dataset_name=raw_schema(name),
    )


def declared_source(name: str) -> DltSource:
    """Returns a source that only says which tables it has: for what is known before anything is read."""
    tables = CALIBRATION_FILES if name == CALIBRATION else [table.name for table in TABLES[name]]
    return DltSource(dlt.Schema(name), name, [dlt.resource(iter(()), name=table) for table in tables])


def prepare(name: str, settings: Settings) -> Tick:
    """Returns the tick of a source, without the tables that are not there.

    Raises:
        ServiceError: the source does not answer.
    """
    tick = Tick(name, pipeline(name, settings))
    resources = list((_files if name == CALIBRATION else _tables)(tick, settings))
    if not resources:
        tick.raise_failures()
    tick.source = DltSource(dlt.Schema(name), name, resources)
    return tick


def merge(
    name: str, settings: Settings, table: SourceTable, since: Progress, rows: Iterable[pa.Table]
) -> None:
    """Merges rows of one table on its key, outside a tick; its cursor stays where it is.

    Raises:
        ServiceError: the warehouse does not take them.
    """
    dsn = settings.dsn("warehouse")
    shutil.rmtree(settings.root / "dlt" / name, ignore_errors=True)
    source = DltSource(dlt.Schema(name), name, [_resource(table.name, table.key, iter(rows), MERGE)])
    try:
        pipeline(name, settings).run(source)
    except PipelineStepFailed as error:
        raise _told(error, name) from error
    write_progress(dsn, name, {table.name: replace(since, read_at=read_time(since))})


@contextmanager
def exclusive(dsn: str, name: str) -> Iterator[None]:
    """Holds a source for oneself among all processes, on whichever machine; waits for one that has it.

    Raises:
        ServiceError: somebody else has had it for too long.
    """
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(f"set lock_timeout = '{LOCK_WAIT}'")
        try:
            cursor.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"ingest {name}",))
        except psycopg2.errors.LockNotAvailable as error:
            raise ServiceError(
                f"another tick of {name} has been running for over {LOCK_WAIT}: stop it"
            ) from error
        yield


def _tables(tick: Tick, settings: Settings) -> Iterator[DltResource]:
    progress = read_progress(settings.dsn("warehouse"), tick.name)
    database = Source(settings.dsn(tick.name), settings.source_timeout_seconds)
    with database.reading(f"database {tick.name}") as cursor:
        for table in TABLES[tick.name]:
            try:
                column_list(cursor, table)
            except ServiceError as error:
                tick.failures[table.name] = error
            else:
                yield _table(tick, table, database, progress.get(table.name))


def _table(tick: Tick, table: SourceTable, database: Source, since: Progress | None) -> DltResource:
    def changed() -> Iterator[pa.Table]:
        def done(progress: Progress) -> None:
            tick.moved[table.name] = progress

        try:
            yield from read_changes(table, database, since, done)
        except ServiceError as error:
            if since is None:
                raise  # half a table must not be taken for the whole
            tick.failures[table.name] = error

    return _resource(table.name, table.key, changed, MERGE if since else "replace")


def _files(tick: Tick, settings: Settings) -> Iterator[DltResource]:
    for name, key in CALIBRATION_FILES.items():
        try:
            rows = read_file(settings.calibration / f"{name}.csv", key)
        except ServiceError as error:
            tick.failures[name] = error
        else:
            yield _resource(name, key, [rows], "replace")


def _resource(
    name: str,
    key: Sequence[str],
    rows: Any,  # noqa: ANN401
    disposition: TWriteDispositionConfig,
) -> DltResource:
    resource: DltResource = dlt.resource(
        rows,
        name=name,
        primary_key=list(key),
        write_disposition=disposition,
        file_format="parquet",  # the way by ADBC, several times as fast as SQL text
    )
    return resource


def _index(dsn: str, name: str, tick: Tick) -> None:
    """Makes what merging and dbt look rows up by, once; the key also proves that no row is there twice."""
    tables = {table.name: table for table in TABLES.get(name, ())}
    with transaction(dsn) as cursor:
        for table in (tables[moved] for moved in tick.moved):
            place = f"{raw_schema(name)}.{table.name}"
            cursor.execute("select to_regclass(%s)", (f"{raw_schema(name)}.{table.name}_key",))
            if cursor.fetchone() != (None,):
                continue
            cursor.execute(f"create unique index {table.name}_key on {place} ({', '.join(table.key)})")
            cursor.execute(f"create index {table.name}_read_at on {place} (read_at)")
            cursor.execute(f"analyze {place}")


def _told(error: BaseException, name: str) -> ServiceError:
    """Returns the first cause in one line: what a source said as it stands, else what the warehouse did."""
    while error.__cause__ is not None and not isinstance(error, ServiceError):
        error = error.__cause__
    if isinstance(error, ServiceError):
        return error
    return ServiceError(f"cannot load {name} into the warehouse: {' '.join(str(error).split())}")
