"""Who may do what: API keys by role, of which only hashes are kept.

The file is ``{"keys": [{"name": "line-a", "role": "line", "sha256": "..."}]}``. Without a file there are
no keys, and only this machine is answered.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspection.errors import SettingsError

KeyRole = Literal["line", "inspector", "engineer", "viewer"]


class ApiKey(BaseModel):
    """A key as it is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    role: KeyRole
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[ApiKey, ...] = Field(min_length=1)


LOCAL = "local"  # who decides where there are no keys


class Keyring:
    """The keys in force; none means that only this machine is answered."""

    def __init__(self, keys: tuple[ApiKey, ...] = ()) -> None:
        self.keys = keys

    def identify(self, secret: str) -> ApiKey | None:
        """Returns the key of a secret; takes as long for a wrong one as for a right one."""
        given = hash_secret(secret)
        found = [key for key in self.keys if hmac.compare_digest(key.sha256, given)]
        return found[0] if found else None

    def role(self, request: Request) -> KeyRole | None:
        """Returns the role of who asks; None where there are no keys."""
        key = self.identify(_secret(request)) if self.keys else None
        return key.role if key else None

    def authorise(self, request: Request, roles: tuple[KeyRole, ...]) -> str:
        """Returns the name of who asks.

        Raises:
            HTTPException: 401 no key or an unknown one, 403 not a key of these roles, or no keys are
                configured and the client is on another machine.
        """
        if not self.keys:
            if not _is_loopback(request.client.host if request.client else ""):
                raise HTTPException(
                    403, "no API keys are set up (VQI_API_KEYS): only this machine is answered"
                )
            return LOCAL
        key = self.identify(_secret(request))
        if key is None:
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(401, "send a valid key as 'Authorization: Bearer KEY'", headers=challenge)
        if key.role not in roles:
            raise HTTPException(
                403, f"a key of role {key.role!r} may not do this: it takes {' or '.join(roles)}"
            )
        return key.name


def allow(*roles: KeyRole) -> Callable[[Request], str]:
    """Returns a dependency that lets these roles pass and gives the name of who asks."""

    def authorised(request: Request) -> str:
        keyring: Keyring = request.app.state.station.keyring
        return keyring.authorise(request, roles)

    return authorised


def is_inspector(request: Request) -> bool:
    """Tells whether an inspector asks, who must not learn what an audited part was judged; a dependency."""
    keyring: Keyring = request.app.state.station.keyring
    return keyring.role(request) == "inspector"


def load_keys(path: Path | None) -> Keyring:
    """Reads the file of keys; None gives a keyring without keys.

    Raises:
        SettingsError: the file is missing or makes no sense.
    """
    if path is None:
        return Keyring()
    try:
        return Keyring(_KeyFile.model_validate(json.loads(path.read_text(encoding="utf-8"))).keys)
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise SettingsError(f"the API keys in {path} cannot be used (VQI_API_KEYS): {error}") from error


def new_key(name: str, role: KeyRole) -> tuple[str, ApiKey]:
    """Makes a key; returns the secret, which is told once, and what is kept of it."""
    secret = secrets.token_urlsafe(32)
    return secret, ApiKey(name=name, role=role, sha256=hash_secret(secret))


def hash_secret(secret: str) -> str:
    """Returns the SHA-256 that is kept. Secrets are 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_host(host: str, keyring: Keyring) -> None:
    """Refuses an open door without a lock.

    Raises:
        SettingsError: the service would listen beyond this machine without keys.
    """
    if not keyring.keys and not _is_loopback(host):
        raise SettingsError(
            f"without API keys the service listens on this machine only, not on {host}: "
            "set VQI_API_KEYS, or use 127.0.0.1"
        )


def _secret(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
