"""The calibration CSV files, which are small and read whole."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from inspection.errors import ServiceError
from inspection.ingestion.changes import READ_AT
from inspection.ingestion.tables import CALIBRATION_FILES

# Whole in one month's file and broken in the next, or blank: the warehouse's column has one type.
NUMBERS = dict.fromkeys(("px_per_mm", "k1", "k2", "p1", "p2", "k3", "fx", "fy", "cx", "cy"), pa.float64())


def read_file(path: Path, key: tuple[str, ...]) -> pa.Table:
    """Returns a calibration file.

    Args:
        path: the file.
        key: columns that have a value in each row.

    Raises:
        ServiceError: the file is missing, is no CSV table, or lacks a value of the key.
    """
    if not path.exists():
        raise ServiceError(f"no calibration file {path}: put it there or set VQI_CALIBRATION_DIR")
    try:
        table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=NUMBERS))
    except pa.ArrowInvalid as error:
        raise ServiceError(f"{path} is no CSV table: {error}") from error
    if holes := [name for name in key if name not in table.column_names or _has_blanks(table[name])]:
        raise ServiceError(f"{path} needs a value of {', '.join(holes)} in each row: complete the file")
    schema = pa.schema(pa.field(field.name, field.type, field.name not in key) for field in table.schema)
    read_at = pa.repeat(pa.scalar(datetime.now(UTC), READ_AT.type), table.num_rows)
    return table.cast(schema).append_column(READ_AT, read_at)


def fingerprint(folder: Path) -> str:
    """Returns what changes when a calibration file arrives or changes; empty while there is none.

    Of size and time, not of the contents: it is asked for every minute, and the folder may be far away.
    """
    files = [folder / f"{name}.csv" for name in CALIBRATION_FILES]
    states = [(file.name, stat.st_size, stat.st_mtime_ns) for file in files if (stat := _stat(file))]
    return "/".join(f"{name}:{size}:{changed}" for name, size, changed in states)


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def _has_blanks(column: pa.ChunkedArray) -> bool:
    # In a column of text an empty cell is an empty text, not null.
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return bool(column.null_count or pc.any(pc.equal(texts, "")).as_py())
