"""From bytes to the network's pixels: ours beside Pillow decoding the whole image."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from inspection.bundle import Bundle
from inspection.imaging import Frame, Preprocessing, load_frame, to_tensor
from inspection.judgement import Prediction, judge
from inspection.runtime import OnnxModel

ROUNDS = 8
PHOTOGRAPHS = 4


def enlarged(folder: Path, size: tuple[int, int]) -> list[bytes]:
    """Returns real photographs of a home, enlarged; none where it has none.

    Args:
        folder: of the originals.
        size: columns and rows.
    """
    files = sorted(folder.rglob("*.jpg"))[:PHOTOGRAPHS]
    found = []
    for file in files:
        buffer = io.BytesIO()
        picture = Image.open(file).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        picture.save(buffer, "JPEG", quality=95)
        found.append(buffer.getvalue())
    return found


def measure(seen: Preprocessing, images: Sequence[bytes]) -> dict[str, float]:
    """Times both in turn on one thread, and tells how far the pixels are apart."""
    times: dict[str, list[float]] = {"ours": [], "pillow": []}
    for _ in range(ROUNDS):
        for image in images:
            begun = time.perf_counter()
            frame = load_frame(image, seen)
            middle = time.perf_counter()
            _whole(image, frame)
            times["ours"].append(1000 * (middle - begun))
            times["pillow"].append(1000 * (time.perf_counter() - middle))
    errors = []
    for image in images:
        frame = load_frame(image, seen)
        errors.append(np.abs(frame.pixels.astype(float) - _whole(image, frame)).mean())
    return {
        "decode_ms": statistics.median(times["ours"][len(images) :]),
        "pillow_decode_ms": statistics.median(times["pillow"][len(images) :]),
        "decode_mean_error_of_255": float(np.mean(errors)),
    }


def verdicts(model: Bundle, images: Sequence[bytes]) -> dict[str, float]:
    """Tells how far a model's words on both are apart; it must have learnt, as random weights see nothing."""
    manifest, network = model.manifest, OnnxModel(model.model, threads=1)
    apart, flips, failed = [], 0, 0
    for image in images:
        ours = load_frame(image, manifest.preprocessing)
        found = []
        for frame in (ours, replace(ours, pixels=_whole(image, ours))):
            probabilities, maps = network.run(to_tensor(frame.pixels[None], manifest.preprocessing))
            told = judge(probabilities[0], maps[0], manifest, frame).prediction
            found.append((probabilities, told))
        apart.append(np.abs(found[0][0] - found[1][0]).max())
        flips += found[0][1] is not found[1][1]
        failed += found[0][1] is Prediction.FAIL
    return {
        "decode_verdicts": len(images),
        "decode_verdicts_fail": failed,
        "decode_probability_apart": float(max(apart)),
        "decode_verdict_flips": flips,
    }


def _whole(image: bytes, frame: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Returns what `frame` shows, by Pillow: decoded whole, its window brought to size by bicubic splines."""
    window = frame.window
    box = (window.x, window.y, window.x + window.width, window.y + window.height)
    size = (frame.pixels.shape[1], frame.pixels.shape[0])
    picture = Image.open(io.BytesIO(image)).convert("RGB")
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC, box), dtype=np.uint8)
