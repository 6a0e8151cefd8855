"""What our object store asks of S3: a client that tries again, uploads in parts, and pieces of objects."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

RETRIES = 5
"""How often a request is tried again that failed for a reason that may pass."""
PART = 8 * 2**20
"""Bytes from which on an object goes in several parts, and of each part."""
SENDERS = 4
"""Parts under way at a time."""
LEFTOVER = timedelta(days=1)
"""Age of an unfinished upload at which nobody is at work on it any more."""


def s3_client() -> S3Client:
    """Returns a client made from the usual AWS variables, with botocore's standard retries."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": RETRIES}))


def upload(client: S3Client, bucket: str, name: str, data: bytes) -> None:
    """Writes or replaces an object; a large one in parts, of which S3 makes it once all are there.

    When a part cannot be sent the upload is ended, and S3 forgets its parts.
    """
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=SENDERS)
    client.upload_fileobj(io.BytesIO(data), bucket, name, Config=config)


def end_leftovers(client: S3Client, bucket: str, prefix: str) -> None:
    """Ends old uploads below a prefix: of a process that was killed the parts stay, and are billed."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for found in [found for page in pages for found in page.get("Uploads", [])]:
        if found["Initiated"] < datetime.now(UTC) - LEFTOVER:
            client.abort_multipart_upload(Bucket=bucket, Key=found["Key"], UploadId=found["UploadId"])


class Pieces(io.RawIOBase):
    """An object as a file of which only what is read is fetched: each read is one request."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        """Starts at the first byte.

        Args:
            fetch: returns the bytes from a first one to a last one, that one included.
            size: of the object.
        """
        self._fetch, self._size, self._at = fetch, size, 0

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def seekable(self) -> bool:
        """Says that it can be read from any place."""
        return True

    def tell(self) -> int:
        """Returns the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place and returns it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fills the buffer with what comes next; returns how many bytes that were."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._at))
        if count:
            view[:count] = self._fetch(self._at, self._at + count - 1)
        self._at += count
        return count
