"""Scans of a JPEG, and the file that is small and takes a decoder for ever."""

from __future__ import annotations

import pytest
from PIL import Image

from inspection.errors import UnsupportedImageError
from inspection.imaging import MAX_SCANS, inspect_header
from inspection.jpeg import scans, segments
from tests.inspection.test_imaging import encode, photo

SCAN = b"\xff\xda"
BASELINE, PROGRESSIVE = encode(photo(480, 320)), encode(Image.new("RGB", (480, 320)), progressive=True)


def scan_bomb(count: int) -> bytes:
    """A progressive JPEG whose last scan comes over and over."""
    last = PROGRESSIVE[PROGRESSIVE.rindex(SCAN) : -2]
    return PROGRESSIVE[:-2] + last * (count - 10) + PROGRESSIVE[-2:]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BASELINE, 1),
        (encode(photo(48, 32).convert("L")), 1),
        (BASELINE + SCAN * 99, 1),  # nobody reads what comes after the picture
        (PROGRESSIVE, 10),  # libjpeg's usual script for three components
        (scan_bomb(500), 500),
        (BASELINE[:300], 0),
        (b"\xff\xd8", 0),
        (b"\xff\xd8\xff", 0),
    ],
    ids=["baseline", "grey", "trailing", "progressive", "bomb", "cut short", "start only", "one byte more"],
)
def test_scans(data: bytes, expected: int) -> None:
    assert scans(data) == expected


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\xff\xff", b"\xff\x01", b"no marker"])
def test_no_filling_hides_scans(filling: bytes) -> None:
    # Taken for a segment with a length, a fill byte would lead into the comment, past the real picture.
    comment = b"\xff\xfe\xff\xff" + BASELINE * (65533 // len(BASELINE) + 1)
    bomb = scan_bomb(200)
    assert scans(bomb[:2] + filling + bomb[2:]) == 200
    assert scans(bomb[:2] + filling + comment[:65537] + bomb[2:]) >= 200


def test_segments_by_hand() -> None:
    data = b"\xff\xd8" + b"\xff\xe0\x00\x04ab" + b"\xff\xff\xda\x00\x03c" + b"\xff\xe0\x00\x02"
    assert list(segments(data)) == [(0xE0, b"ab"), (0xDA, b"c")]


def test_a_scan_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(UnsupportedImageError, match=f"at most {MAX_SCANS}"):
        inspect_header(scan_bomb(20_000))
    assert inspect_header(PROGRESSIVE).width == 480
