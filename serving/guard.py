"""Who is let in, before any route is looked up: a route that nobody thought of is shut like the others.

Where keys are set up, nothing but the health routes answers without one. What a role may do beyond that
stands at each route (`allow`).
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send

from inspection.errors import SettingsError
from inspection.settings import RateLimits
from serving.keys import Keyring, KeyRole
from serving.problems import problem
from serving.rates import Rates

OPEN = frozenset({"/livez", "/readyz", "/healthz"})
METRICS, API = "/metrics", "/api/"
READERS: tuple[KeyRole, ...] = ("viewer", "inspector", "engineer")
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL = "local"  # who decides where no keys are set up
# Basic makes a browser ask for the key, as the password to any name; Chromium wants it in a line of its own.
CHALLENGES = ("Bearer", 'Basic realm="Visual inspection"')


class Caller(NamedTuple):
    """Who asks; without a role where no keys are set up."""

    name: str
    role: KeyRole | None


class Guard:
    """ASGI middleware in front of the whole service, BentoML's own routes included."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        """Stands in front of `app`; `state.station` must be set before the first request."""
        self._app = app
        self._state = state
        self._rates = Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, with its caller in its state, or answers it."""
        if scope["type"] == "websocket":  # no route takes one
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                caller = await self._admit(Request(scope))
            except HTTPException as refused:
                answer = problem(refused.status_code, str(refused.detail), refused.headers)
                for challenge in CHALLENGES if refused.status_code == 401 else ():
                    answer.headers.append("WWW-Authenticate", challenge)
                await answer(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _admit(self, request: Request) -> Caller:
        keyring: Keyring = self._state.station.keys.keyring
        limits: RateLimits = self._state.station.settings.rate_limits
        caller = _local(request) if keyring.keys is None else await self._identify(request, keyring, limits)
        if request.method not in READING:
            _check_origin(request)
            if caller.role == "viewer":
                raise HTTPException(403, "a key of role 'viewer' may only read")
        path = request.scope["path"]
        if caller.role not in (None, *READERS) and path != METRICS and not path.startswith(API):
            raise HTTPException(403, f"a key of role {caller.role!r} may not read this")
        return caller

    async def _identify(self, request: Request, keyring: Keyring, limits: RateLimits) -> Caller:
        key = keyring.identify(secret) if (secret := _secret(request)) else None
        if key is None:
            # After the look-up: one camera with a wrong key must not shut out those behind the same address.
            await self._rates.take(limits.wrong_key, "address", _network(request))
            raise HTTPException(401, "send a valid key as 'Authorization: Bearer KEY'")
        await self._rates.take(getattr(limits, key.role), "key", key.name)
        return Caller(key.name, key.role)


def allow(*roles: KeyRole) -> Callable[[Request], Awaitable[str]]:
    """Returns a dependency that lets these roles pass and gives the name of who asks."""

    async def authorised(request: Request) -> str:
        caller: Caller = request.state.caller
        if caller.role is not None and caller.role not in roles:
            raise HTTPException(
                403, f"a key of role {caller.role!r} may not do this: it takes {' or '.join(roles)}"
            )
        return caller.name

    return authorised


async def is_inspector(request: Request) -> bool:
    """Tells whether an inspector asks, who must not learn what an audited part was judged; a dependency."""
    caller: Caller = request.state.caller
    return caller.role == "inspector"


def check_host(host: str, keyring: Keyring) -> None:
    """Refuses an open door without a lock.

    Raises:
        SettingsError: the service would listen beyond this machine without keys.
    """
    if keyring.keys is None and not _is_loopback(host):
        raise SettingsError(
            f"without API keys the service listens on this machine only, not on {host}: "
            "make one with `vqi keys create NAME --role ROLE` or set VQI_API_KEYS, or use 127.0.0.1"
        )


def _local(request: Request) -> Caller:
    if not _is_loopback(request.client.host if request.client else ""):
        raise HTTPException(
            403,
            "no API keys are set up, so only this machine is answered: make one with `vqi keys create` "
            "or set VQI_API_KEYS",
        )
    # A page from elsewhere can have its own name lead here, and the browser then takes it for ours.
    if not _is_loopback(_hostname(f"//{request.headers.get('host', '')}")):
        raise HTTPException(403, "no API keys are set up: call the service 127.0.0.1 or localhost")
    return Caller(LOCAL, None)


def _check_origin(request: Request) -> None:
    """Refuses what another site's page has a browser send with the key that the browser remembers."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise HTTPException(403, "a page of another site may not do this")


def _secret(request: Request) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""


def _network(request: Request) -> str:
    """Returns the address, of IPv6 the part that a site has to itself: it has more than can be counted."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
