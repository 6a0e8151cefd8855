"""Variants in other precisions: smaller, with the same signature, and close to the model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from inspection.errors import BundleError
from inspection.learning.calibration import Calibration
from inspection.learning.data import Example
from inspection.learning.export import CalibratedNet, compare, export_onnx
from inspection.learning.training import Training
from inspection.learning.variants import TOLERANCES, Precision, make_variant
from inspection.runtime import OnnxModel
from tests.inspection.learning.toy import CLASSES, FRAME

THRESHOLDS = [0.5, 0.5]
TYPES = {"fp16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}


@pytest.fixture(scope="module")
def model(trained: Training) -> bytes:
    network = CalibratedNet(trained.model, Calibration((0.8, 1.3), (0.2, -0.4))).eval()
    return export_onnx(network, FRAME, CLASSES)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_variant_is_smaller_and_gives_nearly_the_same(
    precision: Precision, model: bytes, validation_examples: list[Example]
) -> None:
    frames = [example.pixels() for example in validation_examples]

    variant = make_variant(model, precision, frames[:16], FRAME)

    parity = compare(OnnxModel(model).run, OnnxModel(variant).run, frames, FRAME, THRESHOLDS)
    assert 0 < parity.max_difference < 5 * TOLERANCES[precision]
    assert len(variant) < 0.7 * len(model)
    graph = onnx.load_from_string(variant).graph
    convolutions = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
    dequantised = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    OnnxModel(variant).check_classes(CLASSES)
    with pytest.raises(BundleError, match="height 64"):
        OnnxModel(variant).check_preprocessing(FRAME.model_copy(update={"height": 32}))
    assert {weights[dequantised.get(name, name)] for name in convolutions} == {TYPES[precision]}


def test_ranges_of_integers_come_from_the_images(model: bytes, validation_examples: list[Example]) -> None:
    black = [np.zeros((64, 96, 3), np.uint8)] * 4
    seen = [example.pixels() for example in validation_examples]
    differences = [
        compare(
            OnnxModel(model).run,
            OnnxModel(make_variant(model, "int8", images, FRAME)).run,
            seen,
            FRAME,
            THRESHOLDS,
        ).max_difference
        for images in (seen, black)
    ]
    assert differences[0] < differences[1]
