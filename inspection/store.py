"""The object store: bytes under keys, in a folder or in an S3 bucket, behind one interface."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast
from urllib.parse import urlparse

from inspection.errors import StoreError
from inspection.s3 import PART, Pieces, end_leftovers, s3_client, upload

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

    def open(self, key: str) -> BinaryIO:
        """Opens an object to read pieces of it; raises StoreError when there is none."""

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Returns the size in bytes of each object whose key starts with `prefix`, by key, sorted."""

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""


def open_store(url: str, client: Callable[[], S3Client] = s3_client) -> ObjectStore:
    """Opens ``s3://bucket/prefix`` or a local folder.

    Args:
        url: which.
        client: makes the client of S3, when it is S3.
    """
    if "://" not in url:
        return LocalStore(Path(url))
    parts = urlparse(url)
    if parts.scheme == "file":
        return LocalStore(Path(parts.path))
    if parts.scheme != "s3" or not parts.netloc:
        raise StoreError(f"{url!r} is no object store: give a folder or s3://bucket/prefix (VQI_ARTIFACTS)")
    return S3Store(client(), parts.netloc, parts.path.strip("/"))


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
        with self._refusals(key):
            return self._path(key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        """Opens an object to read pieces of it; raises StoreError when there is none."""
        with self._refusals(key):
            return self._path(key).open("rb")

    @contextmanager
    def _refusals(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise StoreError(f"no object {key!r} in {self.url}") from error
        except OSError as error:
            raise StoreError(f"cannot read {key!r} from {self.url}: {error.strerror}") from error

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""
        return self._path(key).is_file()

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""
        return sorted(key for key, _ in self._objects(prefix))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Returns the size in bytes of each object whose key starts with `prefix`, by key, sorted."""
        return {key: path.stat().st_size for key, path in sorted(self._objects(prefix))}

    def _objects(self, prefix: str) -> Iterator[tuple[str, Path]]:
        _check_prefix(prefix)
        folder = (self.root / f"{prefix}*").parent  # the last part of a prefix may be half a name
        if not folder.is_dir():
            return
        for path in folder.rglob("*"):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and path.is_file() and not path.name.startswith(TEMPORARY):
                yield key, path

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
        """Writes or replaces an object; a large one in parts, of which S3 makes it once all are there."""
        _check_key(key)
        with self._refusals():
            if len(data) >= PART:
                end_leftovers(self._client, self._bucket, self._prefix)
            upload(self._client, self._bucket, self._prefix + key, data)

    def get(self, key: str) -> bytes:
        """Reads an object; raises StoreError when there is none."""
        _check_key(key)
        with self._refusals():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()
            except self._client.exceptions.NoSuchKey as error:
                raise StoreError(f"no object {key!r} in {self.url}") from error

    def open(self, key: str) -> BinaryIO:
        """Opens an object to read pieces of it; raises StoreError when there is none."""
        _check_key(key)
        name = self._prefix + key
        with self._refusals():
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=name)
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "404":
                    raise
                self.exists(key)  # a bucket that is not there gives the same answer: this one says so
                raise StoreError(f"no object {key!r} in {self.url}") from error

        def fetch(first: int, last: int) -> bytes:
            with self._refusals():  # pieces of two versions make neither
                piece = self._client.get_object(
                    Bucket=self._bucket, Key=name, Range=f"bytes={first}-{last}", IfMatch=found["ETag"]
                )
                return piece["Body"].read()

        return cast("BinaryIO", Pieces(fetch, found["ContentLength"]))

    def exists(self, key: str) -> bool:
        """Tells whether there is an object."""
        _check_key(key)
        name = self._prefix + key
        with self._refusals():  # of all keys that begin like this one, it would be the first
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=name, MaxKeys=1)
        return any(item["Key"] == name for item in page.get("Contents", []))

    def list(self, prefix: str = "") -> list[str]:
        """Returns the keys that start with `prefix`, sorted."""
        return [*self.sizes(prefix)]

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Returns the size in bytes of each object whose key starts with `prefix`, by key, sorted."""
        _check_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._refusals():
            found = [(item["Key"], item["Size"]) for page in pages for item in page.get("Contents", [])]
        return {name.removeprefix(self._prefix): size for name, size in sorted(found)}

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
