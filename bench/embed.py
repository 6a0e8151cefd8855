"""Whether embedding is as fast as the network: our pass from the cache beside bare forward passes.

Ours reads shards, decodes, brings frames to the network's size, passes them through, and writes the vectors.
The other passes the same images, normalised and in memory, through the same network in the same batches. The
two take turns, so that a busy machine slows both; weights are random, which changes no time.
"""

from __future__ import annotations

import platform
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from inspection.cache import build_cache, cached_days
from inspection.dataset import Sample
from inspection.imaging import Preprocessing
from inspection.profiles import EmbeddingProfile, load_profile
from inspection.progress import report
from inspection.store import LocalStore

Result = dict[str, Any]

PHOTOGRAPHS = 64
DAYS = 4
SECONDS = 60.0
"""After this no further round of ResNet-50 begins; of the demo's network, after half of it."""


def run() -> Result:
    """Measures ResNet-50 on frames of the plant's cache, and the demo's network on the demo's.

    On the GPU where torch finds one.
    """
    import torch

    plant, demo = load_profile("production"), load_profile("demo")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    resnet = plant.embedding.model_copy(update={"pretrained": "none", "device": device})
    small = demo.embedding.model_copy(update={"device": device})
    copies = 1 if device == "cpu" else 32  # a round shall take seconds
    with tempfile.TemporaryDirectory(prefix="vqi-bench-") as name:
        folder = Path(name)
        samples = _photographs(folder, PHOTOGRAPHS)
        large = _compare(folder, _copied(samples, copies), resnet, plant.cached_preprocessing, 5, SECONDS)
        rest = _compare(
            folder, _copied(samples, 4 * copies), small, demo.cached_preprocessing, 7, SECONDS / 2
        )
    return {
        "name": "embed",
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "ratios": {"throughput_over_forward": large.pop("ratio")},
        "measured": {
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            **{f"{resnet.architecture}_{key}": value for key, value in large.items()},
            **{f"demo_{small.architecture}_{key}": value for key, value in rest.items()},
        },
    }


def _copied(samples: list[Sample], copies: int) -> list[Sample]:
    """Returns each sample several times: to the cache, other images of the same file."""
    return [replace(s, image_id=f"{s.image_id}-{copy:02}") for s in samples for copy in range(copies)]


def _photographs(folder: Path, count: int) -> list[Sample]:
    from inspection.simulation.cameras import CAMERAS
    from inspection.simulation.parts import PART_TYPES
    from inspection.simulation.rendering import ImageSpec, photograph_all

    specs = [
        ImageSpec(0, n, PART_TYPES[n % len(PART_TYPES)].name, CAMERAS[n % len(CAMERAS)].camera_id, ())
        for n in range(count)
    ]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    samples = []
    progress = partial(report, "photographs")
    for number, photo in enumerate(photograph_all(specs, progress=progress)):
        (folder / f"{number}.jpg").write_bytes(photo.jpeg)
        samples.append(
            Sample(
                image_id=f"{number:03}",
                image_path=f"{number}.jpg",
                part_type=photo.spec.part_type,
                camera_id=photo.spec.camera_id,
                line_id="line",
                production_order_id="order",
                captured_at=begin + timedelta(days=number * DAYS // count),
                label="",
                labels=(),
                split="train",
                fold_id=1,
                sample_weight=1.0,
            )
        )
    return samples


def _compare(
    folder: Path,
    samples: list[Sample],
    profile: EmbeddingProfile,
    cache: Preprocessing,
    rounds: int,
    seconds: float,
) -> Result:
    """Returns images per second of both, and the median over the rounds of ours over the other's."""
    from inspection.cache import read_cache
    from inspection.embeddings import update_embeddings
    from inspection.learning.embedding import Embedder, embed_here

    store, embedder = LocalStore(folder / "store"), Embedder(profile)
    build_cache(store, samples, cache, folder)
    days = list(cached_days(store, samples, cache))
    frames = [image.frame for image in read_cache(store, samples, cache).values()]
    size = profile.batch_size
    tensors = [embedder.prepare(frames[n : n + size]) for n in range(0, len(frames), size)]
    embed = partial(embed_here, embedder, store, cache, size)
    embedder.forward(tensors[0])  # the first pass makes plans and takes memory
    ours: list[float] = []
    bare: list[float] = []
    begin = perf_counter()
    for number in range(rounds):
        if ours and perf_counter() - begin > seconds:
            break
        start = perf_counter()
        for images in tensors:
            embedder.forward(images)
        middle = perf_counter()
        name = f"{profile.architecture}-{number}"  # each round begins with nothing
        update_embeddings(store, days, len(samples), name, embedder.backbone, "", embed)
        bare.append(len(samples) / (middle - start))
        ours.append(len(samples) / (perf_counter() - middle))
        report(f"rounds of {profile.architecture}", number + 1, rounds)
    return {
        "ratio": median(one / other for one, other in zip(ours, bare, strict=True)),
        "images": len(samples),
        "images_per_second": median(ours),
        "forward_images_per_second": median(bare),
        "rounds": len(ours),
    }
