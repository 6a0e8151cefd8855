"""A real, tiny model and images that it has an opinion on.

The model sees a 64 x 64 image as 8 x 8 cells and knows three of the five classes by colour: the first is
red, the second green, the third blue. On grey it finds nothing. A cell's logit is
20 x (own channel - mean of the other two) - 10: pure colour gives 10, half of it 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inspection.bundle import BundleManifest, write_bundle
from inspection.gauge.gauge import Gauge
from inspection.imaging import Preprocessing
from inspection.ontology import DEFAULT_ONTOLOGY, Ontology, load_ontology
from inspection.store import ObjectStore

SIZE, CELLS = 64, 8
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
GREY = (128, 128, 128)

ROUTE = "/api/v1/ml/predict/visual-inspection"
METADATA = {
    "image_id": "img-1",
    "camera_id": "cam-1",
    "part_serial": "SN-1",
    "part_type": "shaft",
    "captured_at": "2026-02-28T14:30:22.451Z",
}
JPEG, PNG = {"Content-Type": "image/jpeg"}, {"Content-Type": "image/png"}


TINY = Preprocessing(height=SIZE, width=SIZE, mean=(0, 0, 0), std=(1, 1, 1))


def tiny_model(
    classes: int = 5,
    gain: float = 20.0,
    told: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
) -> bytes:
    """Returns ``model.onnx``, which tells the classes `told` and the preprocessing, or none."""
    weights = np.zeros((classes, 3, 1, 1), np.float32)
    for known in range(min(3, classes)):
        weights[known, :, 0, 0] = -gain / 2
        weights[known, known, 0, 0] = gain
    bias = np.full(classes, -10, np.float32)
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["cells", "weights", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["activation_maps"]),
        helper.make_node("ReduceMax", ["activation_maps", "axes"], ["probabilities"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", classes]),
            helper.make_tensor_value_info(
                "activation_maps", TensorProto.FLOAT, ["batch", classes, CELLS, CELLS]
            ),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([2, 3]), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if told is not None:
        model.metadata_props.add(key="classes", value=json.dumps(list(told)))
    if preprocessing is not None:
        model.metadata_props.add(key="preprocessing", value=preprocessing.model_dump_json())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def manifest(ontology: Ontology | None = None, **changes: object) -> BundleManifest:
    """Returns the manifest of a tiny bundle."""
    ontology = ontology or load_ontology(DEFAULT_ONTOLOGY)
    values: dict[str, object] = {
        "classes": ontology.defect_ids,
        "thresholds": dict.fromkeys(ontology.defect_ids, 0.5),
        "temperature": dict.fromkeys(ontology.defect_ids, 1.0),
        "offset": dict.fromkeys(ontology.defect_ids, 0.0),
        "preprocessing": TINY,
        "metrics": {},
        "gate": {"verdict": "passed"},
        "profile": "test",
        "architecture": "tiny",
        "data_fingerprint": "0" * 64,
        "split_release": "none",
        "code_revision": "none",
        "seed": 0,
        "ontology": ontology,
        "packages": {},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return BundleManifest.model_validate(values | changes)


def store_bundle(
    store: ObjectStore, model: bytes | None = None, gauge: Gauge | None = None, **changes: object
) -> str:
    """Stores a tiny bundle; returns its id."""
    files = {"model.onnx": model or tiny_model(), "weights.safetensors": b"", "model_card.md": b""}
    if gauge is not None:
        files["gauge.json"] = gauge.model_dump_json().encode()
    return write_bundle(store, manifest(**changes), files)  # type: ignore[arg-type]


def picture(
    colour: tuple[int, int, int] = GREY,
    box: tuple[int, int, int, int] = (0, 0, 0, 0),
    width: int = 128,
    height: int = 128,
) -> NDArray[np.uint8]:
    """Returns a grey RGB image with a coloured rectangle (x, y, width, height).

    The grey is a chequer of two greys whose mean is `GREY`: an even image would be a camera out of order.
    """
    rows, columns = np.indices((height, width)) // 2
    pixels = np.repeat((GREY[0] - 4 + 8 * ((rows + columns) % 2))[..., None], 3, axis=2).astype(np.uint8)
    x, y, w, h = box
    pixels[y : y + h, x : x + w] = colour
    return pixels


def encode(pixels: NDArray[np.uint8], kind: str = ".png") -> bytes:
    """Returns the bytes of an image file."""
    return cv2.imencode(kind, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


GOOD = encode(picture())
UNSURE = encode(picture((140, 0, 0), (32, 64, 48, 16)))  # 0.73: told, and below 0.8
SCRATCHED = encode(picture(RED, (32, 64, 48, 16)))
