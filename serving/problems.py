"""Every error as ``application/problem+json`` (RFC 9457), also those that BentoML itself answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inspection.errors import (
    DuplicateError,
    ImageTooLargeError,
    InspectionError,
    NotAnImageError,
    OutboxError,
    OverloadError,
    RegistryError,
    UnsupportedImageError,
)
from serving.headers import current_request

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
STATUS: dict[type[InspectionError], int] = {
    NotAnImageError: 400,
    DuplicateError: 409,
    RegistryError: 409,
    ImageTooLargeError: 413,
    UnsupportedImageError: 415,
    OverloadError: 503,
    OutboxError: 503,
}
HEADERS: dict[type[InspectionError], dict[str, str]] = {
    # What is left of the body is not read, so the connection cannot be used again.
    ImageTooLargeError: {"Connection": "close"},
    OverloadError: {"Retry-After": "1"},
    OutboxError: {"Retry-After": "10"},  # room is made by people, not within a second
}
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_ANSWER: dict[str, object] = {
    "description": "A problem, told in `detail`.",
    "content": {MEDIA_TYPE: {"schema": _SCHEMA}},
}
RESPONSES: dict[int | str, dict[str, object]] = {"default": _ANSWER, 422: _ANSWER}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Makes the answer to a request that failed, and notes it in the log with the request's id."""
    log.warning("%s: %d %s", current_request.get(), status, detail)
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Has the app answer every exception as a problem.

    All of it is asynchronous, to need no thread: who is refused under load is told at once.
    """

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(422, describe(error))

    @app.exception_handler(InspectionError)
    async def known(_: Request, error: InspectionError) -> Response:
        status = STATUS.get(type(error), 500)
        if status == 500:
            log.error("%s failed: %s", current_request.get(), error, exc_info=error)
        return problem(status, str(error), HEADERS.get(type(error)))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return problem(400, "the client went away before the body was complete")

    @app.exception_handler(Exception)
    async def unknown(_: Request, __: Exception) -> Response:
        # The traceback is logged by the server; a client learns nothing about the inside.
        return problem(500, "the service failed on this request: let a person look, and see its log")


def describe(error: RequestValidationError) -> str:
    """Returns what is wrong with which field, in one line."""
    return "; ".join(
        f"{'.'.join(str(part) for part in found['loc'][1:])}: {found['msg']}" for found in error.errors()
    )


class ProblemMiddleware:
    """Turns the plain errors of BentoML's own routes (unknown path, not ready ...) into problems."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything through but the body of a plain error."""
        replaced = False

        async def send_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = {key.decode().lower(): value.decode() for key, value in message["headers"]}
                if not headers.get("content-type", "").startswith(MEDIA_TYPE):
                    replaced = True
                    kept = {name: headers[name] for name in ("allow", "retry-after") if name in headers}
                    detail = _DETAILS.get(message["status"], "the request cannot be answered")
                    await problem(message["status"], detail, kept)(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_problem if scope["type"] == "http" else send)


_DETAILS = {
    404: "there is nothing here: the page at / lists the routes",
    405: "this route takes another method: the page at / lists the routes",
    503: "not ready: no model is loaded yet",
}
