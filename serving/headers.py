"""What every answer carries: the request's id, and what browsers must not do with it."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
ASSETS = "/static_content/"  # the only answers that may be kept

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Swagger UI styles its elements inline and draws its icons from data.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

current_request: ContextVar[str] = ContextVar("current_request", default="no request")
"""Method, path and id of the request in work, for the log."""


class AnswerHeaders:
    """Middleware that sets them, on errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on under its id: the client's own if that is well formed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
        # As Python writes a string: a line break in a path must not begin a line of the log.
        current_request.set(f"{scope['method']} {scope['path'][:200]!r}, request {request_id}")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith(ASSETS):
                    headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, send_with_headers)
