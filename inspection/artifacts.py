"""Files and records in the object store under the hash of their contents."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from inspection.errors import StoreError
from inspection.store import ObjectStore

Record = TypeVar("Record", bound=BaseModel)


def put_file(store: ObjectStore, folder: str, suffix: str, data: bytes) -> str:
    """Stores bytes as ``folder/<SHA-256>suffix`` and returns that key."""
    key = f"{folder}/{hashlib.sha256(data).hexdigest()}{suffix}"
    store.put(key, data)
    return key


def get_file(store: ObjectStore, key: str) -> bytes:
    """Reads what `put_file` stored.

    Raises:
        StoreError: it is missing, or not the bytes that its name promises.
    """
    data = store.get(key)
    expected = key.rsplit("/", 1)[-1].split(".")[0]
    if hashlib.sha256(data).hexdigest() != expected:
        raise StoreError(f"{key!r} in {store.url} was changed: its contents are not those of its name")
    return data


def put_record(store: ObjectStore, record: BaseModel) -> str:
    """Stores a record as JSON and returns its id, the SHA-256 of the text."""
    key = put_file(store, _folder(type(record)), ".json", record.model_dump_json(indent=2).encode())
    return key.rsplit("/", 1)[-1].removesuffix(".json")


def get_record(store: ObjectStore, kind: type[Record], record_id: str) -> Record:
    """Reads what `put_record` stored.

    Raises:
        StoreError: it is missing, changed, or of another kind.
    """
    key = f"{_folder(kind)}/{record_id}.json"
    try:
        return kind.model_validate_json(get_file(store, key))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"{key!r} in {store.url} is no {kind.__name__} of this version: {place}: {first['msg']}"
        ) from error


def _folder(kind: type[BaseModel]) -> str:
    return f"records/{kind.__name__}"
