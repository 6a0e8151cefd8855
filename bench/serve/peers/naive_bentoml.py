"""BentoML with a picture as the input, as its first page shows: ``bentoml serve`` of this class."""

from __future__ import annotations

from typing import Any

import bentoml
import numpy as np
from PIL import Image

from bench.serve.peers import work_here
from inspection.imaging import Frame, Window, resized, to_tensor
from inspection.judgement import judge


@bentoml.service
class Inspection:
    """Judges a picture that Pillow has decoded whole."""

    def __init__(self) -> None:
        self.work = work_here()

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, image: Image.Image) -> dict[str, Any]:
        """Judges it."""
        seen = self.work.preprocessing
        pixels = resized(np.asarray(image.convert("RGB")), seen.height, seen.width)
        window = Window(0, 0, image.width, image.height)
        frame = Frame(pixels, window, image.width, image.height, part_found=True)
        probabilities, maps = self.work.network.run(to_tensor(pixels[None], seen))
        return {"prediction": judge(probabilities[0], maps[0], self.work.manifest, frame).prediction.value}
