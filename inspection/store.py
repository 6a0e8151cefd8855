"""The object store: bytes under keys, in a folder or in an S3 bucket, behind one interface."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlparse

from inspection.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ObjectStore(Protocol):
    """Bytes under keys such as ``models/ab12/model.onnx``. A put is seen whole or not at all."""

    url: str

    def put(self, key: str, data: bytes) -> None:
        """Writes or replaces an object."""

    def get(self, key: str) -> bytes:
        """Reads an object; raises StoreError when there is none."""

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""


def open_store(url: str) -> ObjectStore:
    """Opens ``s3://bucket/prefix`` (with the usual AWS variables) or a local folder."""
    if "://" not in url:
        return LocalStore(Path(url))
    parts = urlparse(url)
    if parts.scheme == "file":
        return LocalStore(Path(parts.path))
    if parts.scheme != "s3" or not parts.netloc:
        raise StoreError(f"{url!r} is no object store: give a folder or s3://bucket/prefix (VQI_ARTIFACTS)")
    import boto3

    return S3Store(boto3.client("s3"), parts.netloc, parts.path.strip("/"))


class LocalStore:
    """Objects as files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.url = str(self.root)

    def put(self, key: str, data: bytes) -> None:
        """Writes to a temporary name, syncs, and renames: a crash leaves the old object or the new one."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".put-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes the file private; an object is as readable as the folder's umask says.
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def get(self, key: str) -> bytes:
        """Reads an object; raises StoreError when there is none."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise StoreError(f"no object {key!r} in {self.url}") from error

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""
        return self._path(key).is_file()

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""
        folder = self.root / PurePosixPath(prefix).parent if not prefix.endswith("/") else self.root / prefix
        if not folder.is_dir():
            return []
        keys = (
            path.relative_to(self.root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".put-")
        )
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key)
        if not key or parts.is_absolute() or ".." in parts.parts:
            raise StoreError(f"{key!r} is no object key: it must be a relative path without '..'")
        return self.root / parts


class S3Store:
    """Objects in an S3 bucket below a prefix."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        """Writes or replaces an object."""
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data)

    def get(self, key: str) -> bytes:
        """Reads an object; raises StoreError when there is none."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()
        except self._client.exceptions.NoSuchKey as error:
            raise StoreError(f"no object {key!r} in {self.url}") from error

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""
        return key in self.list(key)

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        return sorted(
            item["Key"].removeprefix(self._prefix) for page in pages for item in page.get("Contents", [])
        )

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
