"""The single path from image bytes to the network's input.

Training cache, evaluation, embeddings and serving all come through here, with the `Preprocessing`
that travels in the model bundle:

    bytes --inspect_header--> Header --decode--> RGB pixels --crop, resized--> Frame --to_tensor--> float32

What was cached larger than the network sees it comes down by `resized` too. Nothing else in the project
decodes an image for a network.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inspection.errors import ImageTooLargeError, NotAnImageError, UnsupportedImageError
from inspection.exif import UPRIGHT, orientation
from inspection.jpeg import scans
from inspection.outline import part_window

MAX_BYTES = 16 * 2**20
MAX_PIXELS = 16_000_000
MAX_SCANS = 64  # of a JPEG; a progressive one has ten, and each costs the time of the whole picture

Pixels = NDArray[np.uint8]


class Preprocessing(BaseModel):
    """How an image becomes the network's input.

    Attributes:
        height: rows of the network's input.
        width: columns of the network's input.
        crop: ``none`` takes the whole frame; ``part`` takes a window of fixed size centred on the
            part's outline, so that the scale (pixels per millimetre) of a camera is kept.
        crop_height: height of that window as a share of the frame's height; likewise `crop_width`.
        mean: per RGB channel, of values scaled to 0..1; likewise `std`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    crop: Literal["none", "part"] = "none"
    crop_height: float = Field(default=1.0, gt=0, le=1)
    crop_width: float = Field(default=1.0, gt=0, le=1)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def cached(self, short_side: int) -> Preprocessing:
        """Returns how frames are kept for later: the same window, its shorter side this long.

        Never smaller than the network's input, as nothing would bring the detail back.

        Args:
            short_side: pixels.
        """
        own = min(self.height, self.width)
        if short_side <= own:
            return self
        height, width = (round(length * short_side / own) for length in (self.height, self.width))
        return self.model_copy(update={"height": height, "width": width})


class Header(NamedTuple):
    """What the first bytes of an image tell."""

    kind: Literal["jpeg", "png"]
    width: int
    height: int


class Window(NamedTuple):
    """A rectangle in pixels of the image as sent; fractions of a pixel may occur."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """What the network sees of one image, and where that lies in the image.

    Attributes:
        pixels: uint8 RGB, [height, width, 3] of the `Preprocessing`.
        window: the part of the original that `pixels` shows.
        original_width: columns of the image as sent; likewise `original_height`.
        part_found: False when ``crop="part"`` found no outline and the window is the frame's middle:
            such a part goes to a person.
    """

    pixels: Pixels
    window: Window
    original_width: int
    original_height: int
    part_found: bool


def inspect_header(data: bytes) -> Header:
    """Reads kind and size from the first bytes, without decoding.

    Raises:
        ImageTooLargeError: over `MAX_BYTES` or `MAX_PIXELS`.
        UnsupportedImageError: an image, but neither JPEG nor 8-bit PNG, one that its EXIF block says to
            turn before it is looked at, or a JPEG of more than `MAX_SCANS` scans.
        NotAnImageError: neither, or a damaged header.
    """
    if len(data) > MAX_BYTES:
        raise ImageTooLargeError(f"{len(data)} bytes; at most {MAX_BYTES} (16 MiB) are accepted")
    if data[:3] == b"\xff\xd8\xff":
        header = _jpeg_header(data)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        header = _png_header(data)
    elif _known_other(data):
        raise UnsupportedImageError("only JPEG and PNG are accepted: convert the image first")
    else:
        raise NotAnImageError("these bytes are no JPEG and no PNG image")
    if header.width * header.height > MAX_PIXELS:
        raise ImageTooLargeError(
            f"{header.width}x{header.height} pixels; at most {MAX_PIXELS // 10**6} megapixels are accepted"
        )
    if min(header.width, header.height) < 1:
        raise NotAnImageError("the header tells an empty image")
    turned = orientation(data)
    if turned != UPRIGHT:
        raise UnsupportedImageError(f"EXIF orientation {turned}: save the image upright, without the mark")
    return header


def decode(data: bytes, header: Header, min_width: int = 0, min_height: int = 0) -> Pixels:
    """Decodes to RGB; a JPEG at the smallest of libjpeg-turbo's scales that keeps the wanted size.

    Args:
        data: the whole file.
        header: what `inspect_header` told of it.
        min_width: the result is not narrower than this unless the image is; 0 means full size.
        min_height: likewise for the rows.

    Returns:
        uint8 RGB, [h, w, 3]; h and w are the original's, or a fraction of them for a JPEG.

    Raises:
        NotAnImageError: the file is truncated or damaged.
    """
    if header.kind == "png":
        return _decode_png(data)
    try:
        pixels = simplejpeg.decode_jpeg(
            data,
            colorspace="RGB",
            fastdct=False,
            fastupsample=False,
            min_height=min_height,
            min_width=min_width,
            min_factor=1,
            strict=True,  # a truncated file is an error and not a picture with a grey end
        )
    except ValueError as error:
        raise NotAnImageError(f"the JPEG does not decode: {error}") from error
    return np.asarray(pixels, dtype=np.uint8)


def load_frame(data: bytes, preprocessing: Preprocessing) -> Frame:
    """Turns image bytes into what the network sees of them.

    Raises:
        ImageError: as `inspect_header` and `decode`.
    """
    header = inspect_header(data)
    # The window keeps its share of the frame, so the whole frame must be decoded this large at least.
    pixels = decode(
        data,
        header,
        min_width=round(preprocessing.width / preprocessing.crop_width),
        min_height=round(preprocessing.height / preprocessing.crop_height),
    )
    rows, columns = pixels.shape[:2]
    window, found = Window(0, 0, columns, rows), True
    if preprocessing.crop == "part":
        size = (
            max(1, round(preprocessing.crop_width * columns)),
            max(1, round(preprocessing.crop_height * rows)),
        )
        (x, y), found = part_window(pixels, *size)
        window = Window(x, y, *size)
        pixels = pixels[y : y + size[1], x : x + size[0]]
    return Frame(
        pixels=resized(pixels, preprocessing.height, preprocessing.width),
        window=_scaled(window, header.width / columns, header.height / rows),
        original_width=header.width,
        original_height=header.height,
        part_found=found,
    )


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Brings an image to a size: by area averaging when it shrinks, else linearly.

    Args:
        pixels: uint8 RGB, [h, w, 3].
        height: rows of the result.
        width: columns of the result.

    Returns:
        uint8 RGB, [height, width, 3], contiguous.
    """
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    shrinks = pixels.shape[0] >= height and pixels.shape[1] >= width
    # Area averaging is the right filter for shrinking and keeps thin defects; it cannot enlarge.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), dtype=np.uint8)


def to_tensor(pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Normalises frames for the network.

    Args:
        pixels: uint8 RGB, [N, H, W, 3].
        preprocessing: gives mean and standard deviation per channel.

    Returns:
        float32, [N, 3, H, W], contiguous.
    """
    scale = (1 / (255 * np.asarray(preprocessing.std))).astype(np.float32)[:, None, None]
    shift = (np.asarray(preprocessing.mean) / np.asarray(preprocessing.std)).astype(np.float32)[:, None, None]
    planes = pixels.transpose(0, 3, 1, 2)
    # One pass that converts, scales and reorders at once: a seventh of the time of doing it in steps.
    normalised = np.multiply(planes, scale, dtype=np.float32, casting="unsafe", order="C")
    normalised -= shift
    return normalised


def _scaled(window: Window, by_x: float, by_y: float) -> Window:
    return Window(window.x * by_x, window.y * by_y, window.width * by_x, window.height * by_y)


def _jpeg_header(data: bytes) -> Header:
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # KeyError: a colour layout that simplejpeg has no name for
        raise NotAnImageError(f"the JPEG header is damaged: {error}") from error
    if colour in ("CMYK", "YCCK"):
        raise UnsupportedImageError("a CMYK JPEG: save it as RGB or grey first")
    if (passes := scans(data)) > MAX_SCANS:
        raise UnsupportedImageError(
            f"a JPEG of {passes} scans, at most {MAX_SCANS}: save it as a baseline JPEG"
        )
    return Header("jpeg", int(width), int(height))


def _png_header(data: bytes) -> Header:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise NotAnImageError("the PNG header is damaged")
    width, height, depth = struct.unpack(">IIB", data[16:25])
    if width * height <= MAX_PIXELS and depth == 16:
        raise UnsupportedImageError("a 16-bit PNG: save it with 8 bits a channel first")
    return Header("png", width, height)


def _decode_png(data: bytes) -> Pixels:
    # OpenCV fills the rest of a truncated PNG with black without a word; the last chunk tells.
    if b"IEND" not in data[-64:]:
        raise NotAnImageError("the PNG ends before its last chunk: it is truncated")
    # OpenCV turns an image by what it takes for an orientation: the header's rows and columns hold.
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise NotAnImageError("the PNG does not decode: it is damaged")
    return np.asarray(pixels, dtype=np.uint8)


def _known_other(data: bytes) -> bool:
    magic = (b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\x01\0", b"8BPS")
    return data.startswith(magic) or data[8:12] in (b"WEBP", b"avif", b"heic")
