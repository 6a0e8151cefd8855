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

from bench.serve.work import Work
from inspection.imaging import load_frame, to_tensor
from inspection.judgement import judge

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


def measure(work: Work, images: Sequence[bytes]) -> dict[str, float]:
    """Times both in turn on one thread, and tells how far the pixels and the verdicts are apart."""
    seen = work.preprocessing
    times: dict[str, list[float]] = {"ours": [], "pillow": []}
    for _ in range(ROUNDS):
        for image in images:
            begun = time.perf_counter()
            load_frame(image, seen)
            middle = time.perf_counter()
            _whole(image, seen.width, seen.height)
            times["ours"].append(1000 * (middle - begun))
            times["pillow"].append(1000 * (time.perf_counter() - middle))
    errors, apart, flips = [], [], 0
    for image in images:
        ours = load_frame(image, seen)
        theirs = replace(ours, pixels=_whole(image, seen.width, seen.height))
        errors.append(np.abs(ours.pixels.astype(float) - theirs.pixels).mean())
        found = []
        for frame in (ours, theirs):
            probabilities, maps = work.network.run(to_tensor(frame.pixels[None], seen))
            found.append((probabilities, judge(probabilities[0], maps[0], work.manifest, frame).prediction))
        apart.append(np.abs(found[0][0] - found[1][0]).max())
        flips += found[0][1] is not found[1][1]
    return {
        "decode_ms": statistics.median(times["ours"][len(images) :]),
        "pillow_decode_ms": statistics.median(times["pillow"][len(images) :]),
        "decode_mean_error_of_255": float(np.mean(errors)),
        "decode_probability_apart": float(max(apart)),
        "decode_verdict_flips": flips,
    }


def _whole(image: bytes, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = Image.open(io.BytesIO(image)).convert("RGB")
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)
