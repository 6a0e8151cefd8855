"""What a model is compared with: cheap models whose test predictions are kept as it were a model's."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inspection.artifacts import get_file, put_file, put_record
from inspection.dataset import TrainingData
from inspection.errors import StoreError
from inspection.metrics import mean_auroc
from inspection.store import ObjectStore

Floats = NDArray[np.float32]
IMAGE_ID = "image_id"


class BaselineResult(BaseModel):
    """A baseline and what it says of the test side.

    Attributes:
        name: short, as a column of a table is called.
        description: one line: what it sees, and how it learns.
        classes: its outputs in order.
        data_fingerprint: of the `TrainingData`, of which the split release is `split_release`.
        predictions: key of a Parquet file: `image_id`, then a float32 column per class.
        macro_auroc: mean over the classes that have positives and negatives; None without any.
        seconds: that training and prediction took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    classes: tuple[str, ...]
    data_fingerprint: str
    split_release: str
    predictions: str
    macro_auroc: float | None
    seconds: float


def put_baseline(
    store: ObjectStore,
    data: TrainingData,
    *,
    name: str,
    description: str,
    classes: Sequence[str],
    image_ids: Sequence[str],
    probabilities: Floats,
    seconds: float,
) -> str:
    """Stores the predictions of a baseline and returns the id of its `BaselineResult`.

    Args:
        store: takes both.
        data: what it was made from; gives the labels.
        name: short.
        description: one line.
        classes: its outputs in order.
        image_ids: of the test images that it saw.
        probabilities: or any score that rises with them, [N, C].
        seconds: that training and prediction took.
    """
    shown = {sample.image_id: sample.labels for sample in data.samples}
    targets = np.array([[c in shown[image] for c in classes] for image in image_ids], np.float32)
    columns = {IMAGE_ID: pa.array(image_ids, pa.string())}
    for number, one in enumerate(classes):
        columns[one] = pa.array(np.asarray(probabilities[:, number], np.float32))
    buffer = BytesIO()
    pq.write_table(pa.table(columns), buffer)
    result = BaselineResult(
        name=name,
        description=description,
        classes=tuple(classes),
        data_fingerprint=data.fingerprint,
        split_release=data.split_release,
        predictions=put_file(store, "predictions", ".parquet", buffer.getvalue()),
        macro_auroc=mean_auroc(probabilities, targets.reshape(len(image_ids), len(classes))),
        seconds=seconds,
    )
    return put_record(store, result)


def read_baseline_predictions(store: ObjectStore, result: BaselineResult) -> tuple[tuple[str, ...], Floats]:
    """Reads the predictions of a baseline.

    Returns:
        Ids of the test images and the probabilities, float32 [N, C], in the order of `result.classes`.

    Raises:
        StoreError: the file is missing or changed, or has other classes than the record.
    """
    table = pq.read_table(BytesIO(get_file(store, result.predictions)))
    if tuple(table.column_names) != (IMAGE_ID, *result.classes):
        raise StoreError(f"{result.predictions!r} in {store.url} has other columns than its record says")
    columns = [table.column(name).to_numpy().astype(np.float32) for name in result.classes]
    shape = (table.num_rows, len(result.classes))
    matrix = np.stack(columns, axis=1) if columns else np.zeros(shape, np.float32)
    return tuple(table.column(IMAGE_ID).to_pylist()), matrix
