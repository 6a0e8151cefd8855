"""The warehouse as dlt loads it: Parquet files stream into PostgreSQL, whatever their size.

dlt's own job reads a whole file into memory before it copies, and cannot copy one without rows.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.destination.client import LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.storages.load_package import ParsedLoadJobFileName
from dlt.destinations.impl.postgres.factory import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

BATCH_ROWS = 20_000


class StreamingCopyJob(PostgresParquetCopyJob):
    """Copies one Parquet file in batches, in one transaction."""

    def run(self) -> None:
        """Copies the file."""
        sql_client = self._job_client.sql_client
        schema = sql_client.escape_column_name(sql_client.dataset_name, quote=False, casefold=True)
        with pq.ParquetFile(self._file_path) as file, self._connect() as connection:
            batches = file.iter_batches(batch_size=BATCH_ROWS)
            reader = pa.RecordBatchReader.from_batches(file.schema_arrow, batches)
            with connection.cursor() as cursor:
                cursor.adbc_ingest(self.load_table_name, reader, mode="append", db_schema_name=schema)
            connection.commit()


class WarehouseClient(PostgresClient):
    """PostgreSQL, with the job above for Parquet files."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """Returns the job that loads one file."""
        if ParsedLoadJobFileName.parse(file_path).file_format == "parquet":
            return StreamingCopyJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class warehouse(postgres):  # noqa: N801  # dlt names destinations so
    """Destination: the warehouse's PostgreSQL."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """What talks to the server."""
        return WarehouseClient
