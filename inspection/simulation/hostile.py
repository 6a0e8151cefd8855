"""Sending what no camera sends: raw bytes, each request on a connection of its own.

`hostile_requests` makes the requests.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

ROUTE = "/api/v1/ml/predict/visual-inspection"
BUSY = frozenset({"429", "503"})
"""Answers that are right for whatever comes, when there is too much of it."""
CLOSED, SILENT, UNREACHABLE = "closed", "silent", "unreachable"
TRICKLE_S = 0.2

Manner = Literal["whole", "trickle", "hang up"]


@dataclass(frozen=True)
class Hostile:
    """One kind of request that no camera of the line sends.

    Attributes:
        kind: its name.
        right: answers that it may get: a status, or ``closed`` without one. `BUSY` is right as well.
        manner: how the body is sent.
    """

    kind: str
    right: frozenset[str]
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)
    manner: Manner = "whole"


@dataclass(frozen=True)
class HostileAnswer:
    """What a hostile request got.

    Attributes:
        answer: a status, ``closed`` without one, ``silent`` (neither within the client's patience) or
            ``unreachable``.
        verdict: ``busy`` when the service had no time for it.
    """

    kind: str
    answer: str
    verdict: Literal["right", "busy", "wrong"]
    seconds: float


def attack(
    url: str, hostile: Hostile, patience: float, verify: ssl.SSLContext | bool = True
) -> HostileAnswer:
    """Sends a hostile request; returns what came of it.

    Args:
        url: of the service.
        hostile: what to send.
        patience: seconds that an answer may take.
        verify: how the service's certificate is checked.
    """
    begun = time.monotonic()
    try:
        with _connect(url, patience, verify) as connection:
            with suppress(
                ConnectionError, ssl.SSLEOFError
            ):  # cut off while sending: what was answered can be read still
                _send(connection, hostile, begun + patience)
            answer = CLOSED if hostile.manner == "hang up" else _answer(connection)
    except (TimeoutError, ConnectionError):
        answer = UNREACHABLE
    seconds = time.monotonic() - begun
    if answer in hostile.right:
        return HostileAnswer(hostile.kind, answer, "right", seconds)
    return HostileAnswer(hostile.kind, answer, "busy" if answer in BUSY else "wrong", seconds)


def _connect(url: str, patience: float, verify: ssl.SSLContext | bool) -> socket.socket:
    place = urlsplit(url)
    connection = socket.create_connection((place.hostname or "", place.port or 80), patience)
    if place.scheme == "http":
        return connection
    context = verify if isinstance(verify, ssl.SSLContext) else ssl.create_default_context()
    return context.wrap_socket(connection, server_hostname=place.hostname)


def _send(connection: socket.socket, hostile: Hostile, until: float) -> None:
    if hostile.manner == "trickle":
        connection.sendall(hostile.head)
        for byte in hostile.body:
            connection.sendall(bytes([byte]))
            if select.select([connection], [], [], TRICKLE_S)[0] or time.monotonic() > until:
                return
    else:
        connection.sendall(hostile.head + hostile.body)


def _answer(connection: socket.socket) -> str:
    """Reads to the end; the last status counts, as several requests may have been sent."""
    told = bytearray()
    try:
        while chunk := connection.recv(2**16):
            told += chunk
    except TimeoutError:
        return SILENT
    except (ConnectionError, ssl.SSLEOFError):
        pass
    statuses = re.findall(rb"^HTTP/1\.[01] (\d{3})", told, re.MULTILINE)
    return statuses[-1].decode() if statuses else CLOSED
