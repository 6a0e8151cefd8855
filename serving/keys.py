"""API keys by role: the file that `vqi keys` writes and the running service follows. It holds hashes only.

The file is ``{"keys": [{"name": "line-a", "role": "line", "sha256": "..."}]}``. Without a file nobody needs a
key, and only this machine is answered; a file without keys answers nobody.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from inspection.errors import SettingsError
from inspection.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5

KeyRole = Literal["line", "inspector", "engineer", "viewer"]


class ApiKey(BaseModel):
    """A key as it is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
    role: KeyRole
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created_at: AwareDatetime | None = None


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[ApiKey, ...]

    @model_validator(mode="after")
    def _one_of_a_name(self) -> Self:
        names = [key.name for key in self.keys]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"several keys are called {', '.join(sorted(repeated))}")
        return self


class Keyring:
    """The keys in force; None where no file has been set up, which is not the same as no key."""

    def __init__(self, keys: tuple[ApiKey, ...] | None = None) -> None:
        self.keys = keys

    def identify(self, secret: str) -> ApiKey | None:
        """Returns the key of a secret; takes as long for a wrong one as for a right one."""
        given = hash_secret(secret)
        found = [key for key in self.keys or () if hmac.compare_digest(key.sha256, given)]
        return found[0] if found else None


class KeyFollower(threading.Thread):
    """Keeps `keyring` as the file says, so that a key counts, or counts no more, within a second.

    A file that breaks or goes away leaves the keys as they are: neither may open the door or stop the line.
    """

    def __init__(self, settings: Settings) -> None:
        """Reads the file once.

        Raises:
            SettingsError: the file is missing or makes no sense.
        """
        super().__init__(name="key-follower", daemon=True)
        self._file = settings.keys_file
        self._trouble = ""
        self._stopping = threading.Event()
        self.keyring = load_keys(self._file, required=settings.has_keys)

    def run(self) -> None:
        """Polls until `stop`."""
        while not self._stopping.wait(POLL_SECONDS):
            self.poll()

    def poll(self) -> None:
        """Looks once; trouble is logged when it begins."""
        before = self.keyring.keys
        try:
            found = load_keys(self._file, required=before is not None)
        except SettingsError as error:
            if str(error) != self._trouble:
                log.error("the API keys stay as they were: %s", error)
            self._trouble = str(error)
            return
        self._trouble = ""
        if found.keys != before:
            self.keyring = found
            log.warning("API keys in force: %s", ", ".join(key.name for key in found.keys or ()) or "none")

    def stop(self, timeout: float = 10) -> None:
        """Ends the thread."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout)


def load_keys(path: Path, *, required: bool) -> Keyring:
    """Reads the file of keys.

    Args:
        path: of the file.
        required: whether it must be there; else its absence gives a keyring without a file.

    Raises:
        SettingsError: the file is missing or makes no sense.
    """
    try:
        return Keyring(_KeyFile.model_validate_json(path.read_bytes()).keys)
    except FileNotFoundError as error:
        if not required:
            return Keyring()
        raise SettingsError(
            f"there is no file of API keys {path} (VQI_API_KEYS): `vqi keys create NAME --role ROLE` makes it"
        ) from error
    except OSError as error:
        raise SettingsError(f"the API keys in {path} cannot be read (VQI_API_KEYS): {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise SettingsError(
            f"the API keys in {path} make no sense (VQI_API_KEYS): {place}: {first['msg']}"
        ) from error


def create_key(path: Path, name: str, role: KeyRole) -> str:
    """Adds a key to the file; returns its secret, which is kept nowhere.

    Raises:
        SettingsError: there is a key of this name, or the file cannot be read or written.
    """
    with _editing(path) as keys:
        if any(key.name == name for key in keys):
            raise SettingsError(
                f"there is a key {name!r} already: take another name, or revoke that one first"
            )
        secret, key = new_key(name, role)
        keys.append(key)
    return secret


def revoke_key(path: Path, name: str) -> int:
    """Takes a key out of the file; returns how many are left.

    Raises:
        SettingsError: there is no key of this name, or the file cannot be read or written.
    """
    with _editing(path) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise SettingsError(f"there is no key {name!r}: `vqi keys list` shows those there are")
        keys[:] = left
    return len(left)


def new_key(name: str, role: KeyRole) -> tuple[str, ApiKey]:
    """Makes a key; returns the secret, which is told once, and what is kept of it.

    Raises:
        SettingsError: no key can be called that.
    """
    secret, now = secrets.token_urlsafe(32), datetime.now(UTC).replace(microsecond=0)
    try:
        return secret, ApiKey(name=name, role=role, sha256=hash_secret(secret), created_at=now)
    except ValidationError as error:
        raise SettingsError(f"a key cannot be called {name!r}: {error.errors()[0]['msg']}") from error


def hash_secret(secret: str) -> str:
    """Returns the SHA-256 that is kept. Secrets are 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _editing(path: Path) -> Iterator[list[ApiKey]]:
    """Gives the keys to be changed, and writes them down unless the caller fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not the file itself: that is another one after each change.
        with path.with_name(f"{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = list(load_keys(path, required=False).keys or ())
            yield keys
            _write(path, _KeyFile(keys=tuple(keys)))
    except OSError as error:
        raise SettingsError(f"the API keys in {path} cannot be written: {error}") from error


def _write(path: Path, content: _KeyFile) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:  # an administrator writes what the service's own user must be able to read
        folder = path.parent.stat()
        os.chown(temporary, folder.st_uid, folder.st_gid)
    temporary.replace(path)
