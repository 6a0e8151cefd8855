"""The object store: bytes under keys, in a folder or in an S3 bucket, behind one interface."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlparse

from inspection.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


TEMPORARY = ".put-"


class ObjectStore(Protocol):
    """Bytes under keys such as ``models/ab12/model.onnx``. A put is seen whole or not at all.

    A key is a relative path in its plainest form. Every method raises StoreError for another, and when
    the store refuses.
    """

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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._replace(path, data)
        except OSError as error:
            raise StoreError(f"cannot write {key!r} to {self.url}: {error.strerror}") from error

    def _replace(self, path: Path, data: bytes) -> None:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)  # mkstemp makes it private; the service may be another user
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def get(self, key: str) -> bytes:
        """Reads an object; raises StoreError when there is none."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise StoreError(f"no object {key!r} in {self.url}") from error
        except OSError as error:
            raise StoreError(f"cannot read {key!r} from {self.url}: {error.strerror}") from error

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""
        return self._path(key).is_file()

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""
        _check_prefix(prefix)
        folder = (self.root / f"{prefix}*").parent  # the last part of a prefix may be half a name
        if not folder.is_dir():
            return []
        keys = (
            path.relative_to(self.root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(TEMPORARY)
        )
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        if self.exists(key):
            self._path(key).unlink(missing_ok=True)  # somebody else may have been faster

    def _path(self, key: str) -> Path:
        _check_key(key)
        return self.root / key


class S3Store:
    """Objects in an S3 bucket below a prefix."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        """Writes or replaces an object."""
        _check_key(key)
        with self._refusals():
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data)

    def get(self, key: str) -> bytes:
        """Reads an object; raises StoreError when there is none."""
        _check_key(key)
        with self._refusals():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()
            except self._client.exceptions.NoSuchKey as error:
                raise StoreError(f"no object {key!r} in {self.url}") from error

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""
        _check_key(key)
        name = self._prefix + key
        with self._refusals():  # of all keys that begin like this one, it would be the first
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=name, MaxKeys=1)
        return any(item["Key"] == name for item in page.get("Contents", []))

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""
        _check_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._refusals():
            names = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return sorted(name.removeprefix(self._prefix) for name in names)

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        _check_key(key)
        with self._refusals():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StoreError(
                f"{self.url}: {error}; check VQI_ARTIFACTS, the AWS variables and the bucket"
            ) from error


def _check_key(key: str) -> None:
    path = PurePosixPath(key)
    # Another spelling of a path (a//b, a/./b) would be the same file in a folder, another object in S3.
    if not path.parts or path.is_absolute() or ".." in path.parts or str(path) != key or "\0" in key:
        raise StoreError(f"{key!r} is no object key: it must be a plain relative path without '..'")


def _check_prefix(prefix: str) -> None:
    if prefix.startswith("/") or ".." in prefix.split("/") or "\0" in prefix:
        raise StoreError(f"{prefix!r} is no prefix of object keys: it must be relative and without '..'")
