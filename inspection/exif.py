"""Which way up an image is to be shown, read from its EXIF block without decoding.

Decoders differ on whether they turn an image by its EXIF orientation, and a turned image has its boxes
elsewhere. A camera on the line sets none, so `inspection.imaging` takes upright images only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from inspection.jpeg import MAX_SEGMENTS, segments

UPRIGHT, TURNED = 1, range(2, 9)
ORIENTATION_TAG = 0x0112
APP1 = 0xE1
EXIF_MARK = b"Exif\0\0"


def orientation(data: bytes) -> int:
    """Returns the EXIF orientation of a JPEG or PNG: 1 is upright, 2 to 8 are mirrored or turned.

    It is 1 as well where there is no EXIF block, or one that says nothing of use.
    """
    blocks = _png_blocks(data) if data.startswith(b"\x89PNG") else _jpeg_blocks(data)
    try:
        tags = (_orientation_tag(body) for wanted, body in islice(blocks, MAX_SEGMENTS) if wanted)
        value = next(tags, UPRIGHT)
    except struct.error:  # cut short: then no reader can tell an orientation from it
        return UPRIGHT
    return value if value in TURNED else UPRIGHT


def _jpeg_blocks(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yields whether a segment is an EXIF block, and the block."""
    for marker, body in segments(data):
        yield marker == APP1 and body.startswith(EXIF_MARK), body[len(EXIF_MARK) :]


def _png_blocks(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yields likewise for a chunk."""
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        exif = kind == b"eXIf"
        yield exif, data[position + 8 : position + 8 + length] if exif else b""
        position += 12 + length


def _orientation_tag(block: bytes) -> int:
    order = "<" if block.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", block, 4)
    (entries,) = struct.unpack_from(f"{order}H", block, directory)
    for entry in range(entries):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, directory + 2 + 12 * entry)
        if tag == ORIENTATION_TAG:
            return int(value)
    return UPRIGHT
