"""One tick of some sources, or of all, without Dagster: ``python -m inspection.ingestion [SOURCE ...]``."""

from __future__ import annotations

import sys

from inspection.errors import InspectionError
from inspection.ingestion.tables import SOURCES
from inspection.ingestion.tick import ingest
from inspection.settings import get_settings


def main(names: list[str]) -> int:
    """Runs the ticks, and goes on after one that fails; returns the exit code."""
    if unknown := set(names) - set(SOURCES):
        print(f"no source called {min(unknown)}; there are {', '.join(SOURCES)}", file=sys.stderr)
        return 2
    failed = False
    for name in names or SOURCES:
        try:
            moved = ingest(name, get_settings()).moved
        except InspectionError as error:
            failed = True
            print(error, file=sys.stderr)
        else:
            for table, progress in moved.items():
                print(f"{name}.{table:24} {progress.rows:>10,} rows moved")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
