"""From bytes to the network's input: what is accepted, what it becomes, and where it lies."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from inspection.errors import ImageError, ImageTooLargeError, NotAnImageError, UnsupportedImageError
from inspection.imaging import (
    MAX_BYTES,
    Header,
    Preprocessing,
    Window,
    decode,
    inspect_header,
    load_frame,
    resized,
    to_tensor,
)

SMALL = Preprocessing(height=32, width=48)


@cache
def photo(width: int, height: int) -> Image.Image:
    """Something like a machined face: shading, turning marks, sensor noise."""
    rng = np.random.default_rng(3)
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)[:, None]
    shading = (90 + 60 * x + 40 * np.sin(40 * np.hypot(x - 0.5, y - 0.4))).astype(np.uint8)
    tile = rng.integers(0, 14, (128, 128, 3), dtype=np.uint8)  # one tile: 12 megapixels of noise take seconds
    noise = np.tile(tile, (height // 128 + 1, width // 128 + 1, 1))[:height, :width]
    return Image.fromarray(shading[:, :, None] + noise)


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, rows: bytes = b"") -> bytes:
    """A PNG that declares this size, whatever its rows are."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def turned(kind: str, value: int) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "maker"  # the tag before it, so that the reader has to walk
    exif[0x0112] = value
    return encode(photo(48, 32), kind, exif=exif)


def reference(data: bytes, width: int, height: int) -> NDArray[np.float64]:
    """Pillow's full decode and exact area average."""
    full = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(full.resize((width, height), Image.Resampling.BOX), np.float64)


@pytest.mark.parametrize(
    ("width", "height", "options"),
    [
        (1152, 864, {}),
        (1152, 864, {"progressive": True}),
        (1152, 864, {"subsampling": 0}),
        (4096, 3072, {}),
    ],
    ids=["1MP", "1MP progressive", "1MP full chroma", "12MP"],
)
def test_jpeg_is_pillows_full_decode_within_one_grey_level(
    width: int, height: int, options: dict[str, object]
) -> None:
    data = encode(photo(width, height), quality=90, **options)
    pixels = load_frame(data, Preprocessing(height=380, width=380)).pixels
    error = np.abs(pixels - reference(data, 380, 380))
    assert error.mean() < 1
    assert error.max() <= 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_every_8_bit_mode(mode: str) -> None:
    data = encode(photo(192, 128).convert(mode), "PNG")
    pixels = load_frame(data, SMALL).pixels
    assert np.abs(pixels - reference(data, 48, 32)).max() <= 1  # rounding


def test_transparency_is_ignored() -> None:
    image = photo(192, 128).convert("RGBA")
    image.putalpha(0)
    opaque = load_frame(encode(photo(192, 128), "PNG"), SMALL).pixels
    np.testing.assert_array_equal(load_frame(encode(image, "PNG"), SMALL).pixels, opaque)


def test_grey_jpeg_has_three_equal_channels() -> None:
    data = encode(photo(192, 128).convert("L"))
    pixels = load_frame(data, SMALL).pixels
    assert np.abs(pixels - reference(data, 48, 32)).mean() < 1
    assert (pixels == pixels[:, :, :1]).all()


def test_channels_are_red_green_blue() -> None:
    for kind in ("JPEG", "PNG"):
        pixels = load_frame(encode(Image.new("RGB", (48, 32), (200, 100, 10)), kind), SMALL).pixels
        assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - (200, 100, 10)).max() < 2


def test_equal_size_is_not_touched() -> None:
    image = photo(48, 32)
    np.testing.assert_array_equal(load_frame(encode(image, "PNG"), SMALL).pixels, np.asarray(image))


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (7, 5)])
@pytest.mark.parametrize("crop", ["none", "part"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_odd_sizes(size: tuple[int, int], crop: str, kind: str) -> None:
    preprocessing = Preprocessing(height=32, width=48, crop=crop, crop_height=0.3, crop_width=0.3)  # type: ignore[arg-type]
    frame = load_frame(encode(photo(*size), kind), preprocessing)
    assert frame.pixels.shape == (32, 48, 3)
    assert (frame.original_width, frame.original_height) == size


@pytest.mark.parametrize("minimum", [0, 1, 100, 400, 799, 800, 5000])
def test_scaled_decode_is_never_smaller_than_asked(minimum: int) -> None:
    data = encode(photo(800, 600))
    rows, columns, _ = decode(data, inspect_header(data), min_width=minimum).shape
    assert columns >= min(minimum, 800)
    assert rows == pytest.approx(columns * 600 / 800, abs=1)
    assert (columns, rows) == (800, 600) or minimum not in (0, 800, 5000)


GOOD = encode(photo(192, 128))
GOOD_PNG = encode(photo(192, 128), "PNG")


@pytest.mark.parametrize(
    ("data", "header"),
    [(GOOD, Header("jpeg", 192, 128)), (GOOD_PNG, Header("png", 192, 128))],
    ids=["jpeg", "png"],
)
def test_header(data: bytes, header: Header) -> None:
    assert inspect_header(data) == header


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"a text, not an image",
        lambda: "Grüße".encode("utf-16"),
        lambda: pickle.dumps({"image": [1, 2, 3]}),
        lambda: GOOD[:3],
        lambda: GOOD[:20],
        lambda: GOOD[: len(GOOD) // 2],
        lambda: GOOD[: len(GOOD) // 2] + b"\xff\xd9",
        lambda: GOOD[:-2],
        lambda: GOOD_PNG[:20],
        lambda: GOOD_PNG[: len(GOOD_PNG) // 2],
        lambda: GOOD_PNG[: len(GOOD_PNG) // 2] + GOOD_PNG[-12:],
        lambda: GOOD_PNG[:-12],
        lambda: GOOD_PNG[:9000] + b"\0\0\0\0" + GOOD_PNG[9004:],
        lambda: png(8, 8),
        lambda: png(0, 8),
    ],
    ids=[
        *("empty", "text", "utf-16", "pickle", "jpeg mark", "jpeg header", "jpeg half", "jpeg half, ended"),
        *("jpeg without end", "png header", "png half", "png half, ended", "png without end"),
        *("png damaged", "png without rows", "png without width"),
    ],
)
def test_what_is_no_image(make: Callable[[], bytes]) -> None:
    with pytest.raises(NotAnImageError):
        load_frame(make(), SMALL)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: encode(photo(48, 32), "GIF"), "only JPEG and PNG"),  # whatever its name ends in
        (lambda: encode(photo(48, 32), "BMP"), "only JPEG and PNG"),
        (lambda: encode(photo(48, 32), "TIFF"), "only JPEG and PNG"),
        (lambda: encode(photo(48, 32), "WEBP"), "only JPEG and PNG"),
        (lambda: encode(photo(48, 32).convert("I;16"), "PNG"), "16-bit PNG"),
        (lambda: encode(photo(48, 32).convert("CMYK")), "CMYK JPEG"),
    ],
    ids=["gif", "bmp", "tiff", "webp", "16-bit", "cmyk"],
)
def test_images_of_another_kind_say_what_to_do(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(UnsupportedImageError, match=message):
        load_frame(make(), SMALL)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("value", range(10))
def test_a_turned_image_is_refused_and_never_shown_lying(kind: str, value: int) -> None:
    if value in range(2, 9):
        with pytest.raises(UnsupportedImageError, match=f"EXIF orientation {value}: save"):
            load_frame(turned(kind, value), SMALL)
    else:  # 1 is upright; 0 and 9 mean nothing
        assert load_frame(turned(kind, value), SMALL).pixels.shape == (32, 48, 3)


def test_a_damaged_exif_block_says_nothing() -> None:
    data = turned("JPEG", 6)
    start = data.index(b"Exif\0\0") + 6
    broken = data[: start + 4] + b"\xff\xff\xff\xff" + data[start + 8 :]  # the directory is nowhere
    assert load_frame(broken, SMALL).pixels.shape == (32, 48, 3)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    plain, followed = load_frame(GOOD, SMALL), load_frame(GOOD + b"a phone's trailer" * 500, SMALL)
    np.testing.assert_array_equal(plain.pixels, followed.pixels)


def test_too_many_bytes() -> None:
    with pytest.raises(ImageTooLargeError, match="16 MiB"):
        inspect_header(GOOD + bytes(MAX_BYTES))


@pytest.mark.parametrize(("width", "height"), [(8000, 8000), (4001, 4000), (2**31 - 1, 2**31 - 1)])
def test_a_huge_declared_size_is_refused_before_decoding(width: int, height: int) -> None:
    data = png(width, height, rows=bytes(3000))
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError, match="at most 16 megapixels"):
            load_frame(data, SMALL)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_huge_jpeg_is_refused_by_its_header() -> None:
    start = GOOD.index(b"\xff\xc0")  # the frame header: length, precision, height, width
    huge = GOOD[: start + 5] + struct.pack(">HH", 8000, 8000) + GOOD[start + 9 :]
    with pytest.raises(ImageTooLargeError, match="8000x8000"):
        load_frame(huge, SMALL)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([GOOD, GOOD_PNG, turned("JPEG", 6)]),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), max_size=3),
    st.integers(0, 3000),
)
def test_damaged_bytes_are_a_frame_or_an_image_error(
    data: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    for place, value in changes:
        data = data[:place] + value + data[place + len(value) :]
    try:
        frame = load_frame(data[: len(data) - cut], SMALL)
    except ImageError:
        return
    assert frame.pixels.shape == (32, 48, 3)


def scene(kind: str) -> bytes:
    """A dark part at x 700..1100, y 200..380 of a bright 1600x1200 frame."""
    pixels = np.full((1200, 1600, 3), 215, np.uint8)
    pixels[200:380, 700:1100] = 60
    return encode(Image.fromarray(pixels), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_crop_keeps_the_part_and_tells_the_window_in_original_pixels(kind: str) -> None:
    crop = Preprocessing(height=100, width=200, crop="part", crop_height=0.25, crop_width=0.375)
    frame = load_frame(scene(kind), crop)
    window = frame.window
    assert frame.part_found
    assert (window.width, window.height) == pytest.approx((600, 300), abs=8)  # whole decoded pixels
    assert window.x + window.width / 2 == pytest.approx(900, abs=12)
    assert window.y + window.height / 2 == pytest.approx(290, abs=12)
    # The dark pixels of the frame, carried back through the window, are the part.
    rows, columns = np.nonzero(frame.pixels[:, :, 0] < 137)
    by_x, by_y = window.width / 200, window.height / 100
    found = (
        window.x + columns.min() * by_x,
        window.y + rows.min() * by_y,
        window.x + (columns.max() + 1) * by_x,
        window.y + (rows.max() + 1) * by_y,
    )
    assert found == pytest.approx((700, 200, 1100, 380), abs=by_x + by_y)


def test_crop_without_a_part_takes_the_middle_and_says_so() -> None:
    crop = Preprocessing(height=60, width=80, crop="part", crop_height=0.5, crop_width=0.5)
    frame = load_frame(encode(Image.new("RGB", (400, 200), (90, 90, 90))), crop)
    assert not frame.part_found
    assert frame.window == pytest.approx(Window(100, 50, 200, 100), abs=2)


def test_whole_frame_is_its_own_window() -> None:
    frame = load_frame(encode(photo(1601, 1203)), SMALL)
    assert frame.window == pytest.approx(Window(0, 0, 1601, 1203))
    assert (frame.original_width, frame.original_height, frame.part_found) == (1601, 1203, True)


def test_to_tensor_by_hand() -> None:
    preprocessing = Preprocessing(height=1, width=2, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    pixels = np.array([[[[0, 0, 0], [255, 255, 255]]], [[[51, 102, 153], [255, 0, 255]]]], np.uint8)
    tensor = to_tensor(pixels, preprocessing)
    expected = [[[[-1, 1]], [[-1, 3]], [[0, 1]]], [[[-0.6, 1]], [[0.6, -1]], [[0.6, 1]]]]
    assert (tensor.dtype, tensor.shape) == (np.float32, (2, 3, 1, 2))
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, expected, atol=1e-6)


def test_to_tensor_of_no_frames() -> None:
    assert to_tensor(np.empty((0, 32, 48, 3), np.uint8), SMALL).shape == (0, 3, 32, 48)


@pytest.mark.parametrize(
    ("height", "width", "short_side", "expected"),
    [
        (380, 380, 456, (456, 456)),
        (416, 832, 416, (416, 832)),  # the network's own size
        (416, 832, 100, (416, 832)),  # never smaller
        (100, 150, 200, (200, 300)),
        (150, 100, 200, (300, 200)),
        (380, 507, 456, (456, 608)),  # 608.4
    ],
)
def test_cached_frames_have_the_short_side_by_hand(
    height: int, width: int, short_side: int, expected: tuple[int, int]
) -> None:
    seen = Preprocessing(height=height, width=width, crop="part", crop_height=0.5, crop_width=0.25)
    kept = seen.cached(short_side)
    assert (kept.height, kept.width) == expected
    assert kept == seen.model_copy(update={"height": kept.height, "width": kept.width})


def test_shrinking_averages_areas_and_enlarging_interpolates() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2, :2] = [[[200, 0, 40]], [[100, 80, 0]]]
    shrunk = resized(pixels, 2, 2)
    assert shrunk.tolist() == [[[150, 40, 20], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    enlarged = resized(np.array([[[0, 0, 0], [100, 100, 100]]], np.uint8), 1, 4)
    assert enlarged[0, :, 0].tolist() == [0, 25, 75, 100]  # cells' middles at -1/4, 1/4, 3/4 and 5/4
    assert np.array_equal(resized(pixels, 4, 4), pixels)
    assert all(found.flags.c_contiguous for found in (shrunk, enlarged, resized(pixels[:, ::2], 4, 2)))


def test_a_cached_frame_brought_down_is_close_to_what_the_network_sees() -> None:
    data = encode(photo(800, 600), quality=95)
    seen = Preprocessing(height=96, width=128)
    kept = load_frame(data, seen.cached(150))
    direct = load_frame(data, seen)
    assert kept.pixels.shape == (150, 200, 3)
    assert kept.window == direct.window
    difference = resized(kept.pixels, 96, 128).astype(int) - direct.pixels
    assert np.abs(difference).mean() < 2
