"""The work itself, which every stack does to an image, and how fast it is without any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inspection.bundle import load_bundle_folder
from inspection.imaging import load_frame, to_tensor
from inspection.judgement import judge
from inspection.runtime import OnnxModel


class Work:
    """From an image's bytes to the verdict, with one inference session."""

    def __init__(self, bundle: Path, threads: int) -> None:
        """Loads and warms up.

        Args:
            bundle: folder of the model bundle, named by its id.
            threads: of a call.
        """
        loaded = load_bundle_folder(bundle)
        self.manifest = loaded.manifest
        self.preprocessing = loaded.manifest.preprocessing
        self.network = OnnxModel(loaded.model, threads=threads, batch_size=1)
        self.network.warm_up(self.preprocessing.height, self.preprocessing.width, len(self.manifest.classes))

    def __call__(self, image: bytes) -> dict[str, Any]:
        """Returns the verdict as it would be answered."""
        frame = load_frame(image, self.preprocessing)
        probabilities, maps = self.network.run(to_tensor(frame.pixels[None], self.preprocessing))
        found = judge(probabilities[0], maps[0], self.manifest, frame)
        return {
            "prediction": found.prediction.value,
            "confidence": found.overall_confidence,
            "defects": [defect.defect_class for defect in found.defects],
        }


def floor_rate(work: Work, images: Sequence[bytes], lanes: int, seconds: float) -> float:
    """Returns the images a second of so many threads in this process that do nothing but the work."""
    end = time.perf_counter() + seconds
    done: list[int] = []

    def lane(first: int) -> None:
        count = 0
        while time.perf_counter() < end:
            work(images[(first + count) % len(images)])
            count += 1
        done.append(count)

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(lanes)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begun)
