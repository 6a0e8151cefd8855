"""What a model said of each test image, as a Parquet file: others recompute the metrics from it.

One row per image. The metadata key ``vqi`` holds classes, thresholds and the split release, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inspection.artifacts import get_file, put_file
from inspection.dataset import Sample
from inspection.errors import StoreError
from inspection.store import ObjectStore

Floats = NDArray[np.floating[Any]]

FOLDER, METADATA, PREFIX = "predictions", b"vqi", "probability."


@dataclass(frozen=True)
class TestPredictions:
    """A file read again.

    Attributes:
        image_ids: N of them, in order.
        label: primary label of each; `labels`: all defect classes; both as annotated.
        sample_weight: 1 / the probability that balancing kept the image, float64 [N].
        probabilities: calibrated, with the gauge's word where it measures, float32 [N, C].
        classes: names of the columns.
        thresholds: by class; a class is told from there on.
        prediction: FAIL where any class is told, else PASS.
    """

    __test__ = False

    image_ids: tuple[str, ...]
    label: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    sample_weight: Floats
    probabilities: Floats
    classes: tuple[str, ...]
    thresholds: dict[str, float]
    prediction: tuple[str, ...]
    split_release: str


def put_predictions(
    store: ObjectStore,
    samples: Sequence[Sample],
    probabilities: Floats,
    thresholds: Mapping[str, float],
    split_release: str,
) -> str:
    """Stores a file and returns its key.

    Args:
        store: takes it.
        samples: the images, N.
        probabilities: [N, C].
        thresholds: by class, in the order of the columns.
        split_release: of which the images are the test side.
    """
    told = np.any(probabilities >= np.array(list(thresholds.values())), axis=1)
    columns: dict[str, Any] = {
        "image_id": pa.array([s.image_id for s in samples], pa.string()),
        "split_release": pa.array([split_release] * len(samples), pa.string()),
        "label": pa.array([s.label for s in samples], pa.string()),
        "labels": pa.array([list(s.labels) for s in samples], pa.list_(pa.string())),
        "sample_weight": pa.array([s.sample_weight for s in samples], pa.float64()),
        "prediction": pa.array(["FAIL" if failed else "PASS" for failed in told.tolist()], pa.string()),
    }
    for number, name in enumerate(thresholds):
        columns[PREFIX + name] = pa.array(np.asarray(probabilities[:, number], np.float32))
    told_beside = {
        "classes": list(thresholds),
        "thresholds": dict(thresholds),
        "split_release": split_release,
    }
    buffer = BytesIO()
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(told_beside).encode()})
    pq.write_table(table, buffer)
    return put_file(store, FOLDER, ".parquet", buffer.getvalue())


def read_predictions(store: ObjectStore, key: str) -> TestPredictions:
    """Reads what `put_predictions` stored.

    Raises:
        StoreError: it is missing, was changed, or is another file.
    """
    table = pq.read_table(BytesIO(get_file(store, key)))
    text = (table.schema.metadata or {}).get(METADATA)
    if text is None:
        raise StoreError(f"{key!r} in {store.url} holds no test predictions")
    beside = json.loads(text)
    classes = tuple(beside["classes"])
    columns = [table.column(PREFIX + name).to_numpy() for name in classes]
    return TestPredictions(
        image_ids=tuple(table.column("image_id").to_pylist()),
        label=tuple(table.column("label").to_pylist()),
        labels=tuple(tuple(names) for names in table.column("labels").to_pylist()),
        sample_weight=table.column("sample_weight").to_numpy(),
        probabilities=np.stack(columns, axis=1),
        classes=classes,
        thresholds=beside["thresholds"],
        prediction=tuple(table.column("prediction").to_pylist()),
        split_release=beside["split_release"],
    )
