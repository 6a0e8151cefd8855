"""From a trained network to one ONNX file with the calibration inside."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inspection.imaging import Pixels, Preprocessing, to_tensor
from inspection.learning.calibration import Calibration
from inspection.learning.model import DefectNet, pool
from inspection.learning.results import Parity
from inspection.runtime import CLASSES, INPUT, OUTPUTS, PREPROCESSING

Array = NDArray[np.float32]
Judge = Callable[[Array], tuple[Array, Array]]
"""From images, float32 [N, 3, H, W], to probabilities [N, C] and activation maps [N, C, h, w]."""

OPSET = 20
TOLERANCE = 1e-3
"""Largest difference of a probability, or of a cell of a map, that is called the same model."""


class CalibratedNet(nn.Module):
    """What is exported: probabilities and activation maps, both calibrated.

    Call it with float32 [N, 3, H, W]; it returns probabilities [N, C] and maps [N, C, h, w], the
    sigmoid of the calibrated cell logits, so that a cell compares with the class's threshold.
    """

    def __init__(self, model: DefectNet, calibration: Calibration) -> None:
        super().__init__()
        self.model = model
        self.slopes: Tensor
        self.offsets: Tensor
        self.register_buffer("slopes", torch.tensor(calibration.slopes, dtype=torch.float32))
        self.register_buffer("offsets", torch.tensor(calibration.offsets, dtype=torch.float32))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Returns probabilities and activation maps."""
        cells = self.model(image)
        probabilities = torch.sigmoid(self.slopes * pool(cells) + self.offsets)
        maps = torch.sigmoid(self.slopes[:, None, None] * cells + self.offsets[:, None, None])
        return probabilities, maps


def export_onnx(model: CalibratedNet, preprocessing: Preprocessing, classes: Sequence[str]) -> bytes:
    """Exports the network with a free batch size.

    Args:
        model: in evaluation mode, on the CPU.
        preprocessing: gives the size of the input; the file tells it, so that no bundle can mix it up.
        classes: the outputs in order; likewise.
    """
    example = torch.zeros(2, 3, preprocessing.height, preprocessing.width)
    with warnings.catch_warnings():
        # Deprecations inside the exporter, which is the newest that there is.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model.eval(),
            (example,),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # noqa: S101  # the exporter of dynamo=True returns one
    proto = program.model_proto
    proto.metadata_props.add(key=CLASSES, value=json.dumps(list(classes)))
    proto.metadata_props.add(key=PREPROCESSING, value=preprocessing.model_dump_json())
    data: bytes = proto.SerializeToString()
    return data


def compare(
    reference: Judge,
    exported: Judge,
    frames: Iterable[Pixels],
    preprocessing: Preprocessing,
    thresholds: Sequence[float],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Runs two models on the same frames, one at a time, as the line sends them.

    Args:
        reference: what the other shall give.
        exported: what is held against it.
        frames: uint8 RGB [H, W, 3], loaded from the bytes of original files.
        preprocessing: of both.
        thresholds: by class, in order.
        tolerance: largest difference of a probability, or of a cell, that is allowed.
    """
    probability = cell = 0.0
    flips = images = 0
    limit = np.asarray(thresholds)
    for frame in frames:
        tensor = to_tensor(frame[None], preprocessing)
        expected, expected_maps = reference(tensor)
        found, found_maps = exported(tensor)
        probability = max(probability, _largest_difference(expected, found))
        cell = max(cell, _largest_difference(expected_maps, found_maps))
        flips += bool((expected >= limit).any()) != bool((found >= limit).any())
        images += 1
    return Parity(
        images=images,
        max_difference=probability,
        max_cell_difference=cell,
        flips=flips,
        tolerance=tolerance,
    )


def in_torch(model: CalibratedNet) -> Judge:
    """Returns the trained network as a function from images to probabilities and maps."""

    def run(images: Array) -> tuple[Array, Array]:
        with torch.inference_mode():
            probabilities, maps = model(torch.from_numpy(images))
        return probabilities.numpy(), maps.numpy()

    return run


def _largest_difference(expected: Array, found: Array) -> float:
    # NaN compares with nothing: it counts as the largest difference that probabilities can have.
    return float(np.nan_to_num(np.abs(expected - found), nan=1.0).max())
