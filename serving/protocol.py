"""HTTP on a connection, with limits that uvicorn lacks: how large a request's head is, and how slow."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving import metrics
from serving.problems import problem

MAX_HEAD = 64 * 2**10  # bytes, give or take one read from the connection
HEAD_SECONDS = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """Cuts off a client whose head, or whatever else is no body, is too large or does not come."""

    _outside_bodies = 0  # bytes since the last piece of a body, or the last head
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expects a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expects nothing more."""
        self._got_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses, and counts what the parser keeps to itself."""
        self._outside_bodies += len(data)
        super().data_received(data)
        if self._outside_bodies > MAX_HEAD:
            self._head_is_bad(431, f"the head of the request is larger than {MAX_HEAD} bytes")

    def on_message_begin(self) -> None:
        """Expects the head of the next request on a connection that is kept."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Has the head."""
        self._got_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Passes a piece of the body on, which `serving.uploads` counts."""
        self._outside_bodies = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self._cut_off(400, msg)

    def _expect_head(self) -> None:
        if self._timer is None:
            detail = f"the head of the request did not arrive within {HEAD_SECONDS:g} s"
            self._timer = self.loop.call_later(HEAD_SECONDS, self._head_is_bad, 408, detail)

    def _got_head(self) -> None:
        self._outside_bodies = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_bad(self, status: int, detail: str) -> None:
        if not self.transport.is_closing():
            metrics.CUT_OFF.labels("head").inc()
        self._cut_off(status, detail)

    def _cut_off(self, status: int, detail: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # else it would get into another answer
            answer = problem(status, detail, {"Connection": "close"})
            headers = [name + b": " + value + b"\r\n" for name, value in answer.raw_headers]
            self.transport.write(
                b"".join([STATUS_LINE[status], *headers, b"\r\n", cast("bytes", answer.body)])
            )
        self.transport.close()
