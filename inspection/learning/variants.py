"""Smaller numbers for the same model: its weights and arithmetic in 16-bit floats, or in 8-bit integers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from inspection.bundle import Precision
from inspection.imaging import Pixels, Preprocessing, to_tensor
from inspection.runtime import INPUT

Array = NDArray[np.float32]

TOLERANCES: dict[Precision, float] = {"fp16": 0.01, "int8": 0.05}
"""Largest difference of a probability, or of a cell of a map, from the exported model's. Neither may turn a
verdict."""


def make_variant(
    model: bytes, precision: Precision, frames: Iterable[Pixels], preprocessing: Preprocessing
) -> bytes:
    """Returns the exported model in another precision, with the same input and outputs in float32.

    Args:
        model: contents of ``model.onnx``.
        precision: which.
        frames: what the model will see, uint8 RGB [H, W, 3]; int8 takes the ranges of its activations
            from them.
        preprocessing: of the model.
    """
    makers: dict[Precision, Callable[[], bytes]] = {
        "fp16": lambda: half_precision(model),
        "int8": lambda: integers(model, (to_tensor(frame[None], preprocessing) for frame in frames)),
    }
    return makers[precision]()


def half_precision(model: bytes) -> bytes:
    """Returns the model in 16-bit floats; input and outputs stay in 32 bits."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    converted = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    data: bytes = converted.SerializeToString()
    return data


def integers(model: bytes, images: Iterator[Array]) -> bytes:
    """Returns the model with its convolutions in 8-bit integers.

    Static quantisation (Jacob et al. 2018): weights by channel, activations by the range that they take on
    the images. What follows the last convolution, calibration and maps, stays in floats.

    Args:
        model: contents of ``model.onnx``.
        images: float32 [1, 3, H, W] each; some dozens will do.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        def get_next(self) -> dict[str, Array] | None:
            image = next(images, None)
            return None if image is None else {INPUT: image}

    with tempfile.TemporaryDirectory() as folder:
        quantised = Path(folder) / "model.onnx"
        quantize_static(
            onnx.load_from_string(model),
            quantised,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
        )
        return quantised.read_bytes()
