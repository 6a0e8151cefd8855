"""The object store as assets open it: a local folder, or S3 through the client of Dagster's `S3Resource`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from inspection.s3 import RETRIES
from inspection.store import ObjectStore, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Artifacts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens object stores; S3 with the usual AWS variables."""

    retries: int = Field(default=RETRIES, description="How often a request to S3 is tried again.")

    def open(self, url: str) -> ObjectStore:
        """Opens a store; raises StoreError when the URL (``Settings.artifacts_url``) names none."""
        return open_store(url, self._client)

    def _client(self) -> S3Client:
        from dagster_aws.s3 import S3Resource  # here: who has a folder does not wait for boto3

        client: S3Client = S3Resource(max_attempts=self.retries).get_client()
        return client
