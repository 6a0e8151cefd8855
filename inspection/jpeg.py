"""The outer structure of a JPEG file, read without decoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

BASELINE, EXTENDED, START_OF_SCAN = 0xC0, 0xC1, 0xDA
BARE = (0x01, *range(0xD0, 0xDA))  # markers without a body
MAX_SEGMENTS = 4096  # real files have fewer; a hostile one is not followed for seconds


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields marker and body of each segment up to the header of the first scan.

    Raises:
        struct.error: the file ends within a segment's head.
    """
    position = 2
    while data[position : position + 1] == b"\xff":
        (marker,) = struct.unpack_from(">B", data, position + 1)
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in BARE:
            position += 2
            yield marker, b""
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        yield marker, data[position + 4 : position + 2 + length]
        if marker == START_OF_SCAN:
            return
        position += 2 + length


def scans(data: bytes) -> int:
    """Returns how many passes over the whole picture its decoder makes at most."""
    components = b""
    try:
        for marker, body in islice(segments(data), MAX_SEGMENTS):
            if marker in (BASELINE, EXTENDED):
                components = body[5:6]
            elif marker == START_OF_SCAN and body[:1] == components != b"":
                return 1  # sequential, all components at once: a decoder looks no further
    except struct.error:
        return 0  # it ends before its first scan
    return data.count(bytes([0xFF, START_OF_SCAN]))
