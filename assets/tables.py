"""Tables in the Dagster UI."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg


def table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Returns rows as metadata that the UI draws as a table; there must be one at least."""
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])
