"""What a service meets beside parts: broken files, wrong metadata, clients that are no cameras.

Each kind has the answers that are right for it, and none of them may change what the line gets.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from urllib.parse import urlencode

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from inspection.simulation.hostile import CLOSED, ROUTE, Hostile, Manner

QUERY = {"image_id": "hostile", "camera_id": "hostile", "part_serial": "hostile"}


def hostile_kinds(api_key: str | None = None) -> tuple[Hostile, ...]:
    """Makes one request of each kind.

    Args:
        api_key: of the role ``line``; without one the service has no keys, and a wrong one does not matter.
    """
    requests = _Requests(api_key)
    kinds = [*_bodies(requests), *_clients(requests), *_metadata(requests)]
    if api_key:
        kinds.append(requests.kind("wrong key", {"401"}, headers={"Authorization": "Bearer wrong"}))
    return tuple(kinds)


def _bodies(requests: _Requests) -> list[Hostile]:
    jpeg, deep = _encoded(".jpg"), _picture().astype(np.uint16) * 257
    frame = jpeg.index(b"\xff\xc0")
    lying = jpeg[: frame + 5] + struct.pack(">HH", 60_000, 60_000) + jpeg[frame + 9 :]
    cmyk = simplejpeg.encode_jpeg(np.dstack([_picture(), _picture()[..., :1]]), colorspace="CMYK")
    progressive = _encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last_scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    bodies = {
        "truncated JPEG": ({"400"}, jpeg[: len(jpeg) // 2]),
        "no image": ({"400"}, b"hello, I am no image"),
        "empty body": ({"400"}, b""),
        "JPEG of 60000x60000": ({"413"}, lying),
        "PNG bomb": ({"413"}, _png(20_000, 20_000)),
        "JPEG of 500 scans": ({"415"}, progressive[:-2] + last_scan * 490 + progressive[-2:]),
        "17 MiB": ({"413"}, jpeg + b"\0" * (17 * 2**20 - len(jpeg))),
        "CMYK JPEG": ({"415"}, cmyk),
        "16-bit PNG": ({"415"}, cv2.imencode(".png", deep)[1].tobytes()),
        "GIF as JPEG": ({"415"}, _encoded(".gif")),
        "TIFF as JPEG": ({"415"}, _encoded(".tiff")),
        "WebP as JPEG": ({"415"}, _encoded(".webp")),
    }
    return [requests.kind(kind, right, body=body) for kind, (right, body) in bodies.items()]


def _clients(requests: _Requests) -> list[Hostile]:
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    field_only = b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--x--\r\n'
    pipelined = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n\x16\x03\x01\x02\0 no HTTP\r\n\r\n"
    return [
        requests.kind("wrong content type", {"415"}, headers={"Content-Type": "text/plain"}),
        requests.kind("form without an image", {"422"}, headers=form, body=field_only),
        requests.kind("form that is none", {"422"}, headers=form, body=b"nonsense"),
        requests.kind("slow client", {"408"}, body=b"\xff\xd8" + b"\0" * 10_000, manner="trickle"),
        requests.kind("client that hangs up", {CLOSED}, length=10 * 2**20, manner="hang up"),
        requests.kind("huge declared length", {"413"}, headers={"Expect": "100-continue"}, length=2**30),
        requests.kind("oversized header", {"400", "431", CLOSED}, headers={"X-Filler": "x" * 2**20}),
        requests.kind("unknown route", {"404"}, route="/api/v1/nothing"),
        Hostile("no HTTP", frozenset({"400", CLOSED}), b"", pipelined),
    ]


def _metadata(requests: _Requests) -> list[Hostile]:
    changes: dict[str, dict[str, str]] = {
        "bad UUID": {"inspection_id": "7"},
        "wrong captured_at": {"captured_at": "yesterday"},
        "control characters": {"part_serial": "SN\r\nX-Injected: 1\0"},
        "very long name": {"camera_id": "c" * 5000},
        "unknown field": {"part_serail": "SN-1"},
    }
    kinds = [requests.kind(kind, {"422"}, query=QUERY | change) for kind, change in changes.items()]
    # Names are opaque to the service: this one is a part like any other.
    path = dict.fromkeys(QUERY, "../../etc/passwd")
    return [
        *kinds,
        requests.kind("missing metadata", {"422"}, query={"part_serial": "SN-1"}),
        requests.kind("path as name", {"200"}, query=path),
    ]


class _Requests:
    """Makes requests that are right but for what is asked for."""

    def __init__(self, api_key: str | None) -> None:
        self._key = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._image = _encoded(".jpg")

    def kind(
        self,
        kind: str,
        right: set[str],
        *,
        route: str = ROUTE,
        query: Mapping[str, str] = QUERY,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        length: int | None = None,
        manner: Manner = "whole",
    ) -> Hostile:
        body = self._image if body is None else body
        told = {
            "Host": "localhost",  # a service without keys goes by no other name
            "Connection": "close",
            "Content-Type": "image/jpeg",
            "Content-Length": str(len(body) if length is None else length),
            **self._key,
            **(headers or {}),
        }
        lines = [f"POST {route}?{urlencode(query)} HTTP/1.1", *(f"{k}: {v}" for k, v in told.items()), "", ""]
        return Hostile(kind, frozenset(right), "\r\n".join(lines).encode(), body, manner)


def _picture() -> NDArray[np.uint8]:
    rows, columns = np.indices((128, 128))
    return np.repeat((rows + columns).astype(np.uint8)[..., None], 3, axis=2)


def _encoded(kind: str, *options: int) -> bytes:
    return cv2.imencode(kind, _picture(), options)[1].tobytes()


def _png(width: int, height: int) -> bytes:
    """A black one-bit PNG: 20,000 x 20,000 pixels are 50 KB in the file and 1.2 GB decoded."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(height * (1 + -(-width // 8))), 9))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")
