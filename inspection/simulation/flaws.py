"""The bad rows that every real plant has: each kind that the pipeline must put into quarantine.

The clock of the future stands in the columns that people and cameras write (capture, decision, start);
``updated_at`` is left to the database's own clock, here as in all simulated rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from inspection.simulation.production import DAY_MS
from inspection.simulation.tables import instants, text_array, uuids
from inspection.simulation.vocabulary import UNKNOWN_LABELS

SHARE = 0.001
AT_LEAST = 5
FAR_FUTURE_MS = 20 * 365 * DAY_MS
BROKEN_BOXES: Mapping[str, object] = {
    "negative": {"x": 120, "y": 80, "width": -40, "height": 25},
    "outside": {"x": 90_000, "y": 40, "width": 60, "height": 60},
    "malformed": {"x": "left", "y": None, "w": 12},
    "no object": [12, 40, 30, 30],
}


@dataclass
class Flaws:
    """Adds bad rows to tables and counts them.

    Attributes:
        rng: source of randomness.
        counts: bad rows by ``table: kind``.
    """

    rng: np.random.Generator
    counts: Counter[str] = field(default_factory=Counter)

    def images(self, rows: pa.Table) -> pa.Table:
        """Adds rows to ``image_metadata`` and spoils a few; the files of the spoilt ones exist."""
        orphans, early = self._two_groups(rows)
        order = rows["production_order_id"].to_pylist()
        for index in orphans:
            order[index] = f"PO-9{index:06d}"
        rows = _replaced(rows, "production_order_id", order)
        rows = _replaced(rows, "capture_timestamp", _later(rows, "capture_timestamp", early))
        self.counts["image_metadata: orphan key"] += len(orphans)
        self.counts["image_metadata: clock in the future"] += len(early)
        missing = self._copies(rows, "image_id", "image_metadata: missing image file")
        paths = [path.replace(".jpg", "-lost.jpg") for path in missing["image_path"].to_pylist()]
        twice = self._copies(rows, "image_id", "image_metadata: duplicate")
        return pa.concat_tables([rows, _replaced(missing, "image_path", paths), twice])

    def annotations(self, rows: pa.Table) -> pa.Table:
        """Adds rows to ``defect_annotations``."""
        key, table = "annotation_id", "defect_annotations"
        boxed = rows.filter(rows["bounding_box"].is_valid())
        unknown = self._copies(boxed, key, f"{table}: unknown label")
        labels = [str(self.rng.choice(UNKNOWN_LABELS)) for _ in range(unknown.num_rows)]
        orphan = self._copies(rows, key, f"{table}: orphan key")
        extra = [
            _replaced(unknown, "defect_type", labels),
            _replaced(orphan, "image_id", uuids(self.rng, orphan.num_rows)),
            self._copies(rows, key, f"{table}: duplicate"),
        ]
        for name, box in BROKEN_BOXES.items():
            broken = self._copies(boxed, key, f"{table}: broken box ({name})")
            extra.append(_replaced(broken, "bounding_box", [json.dumps(box)] * broken.num_rows))
        return pa.concat_tables([rows, *extra])

    def results(self, rows: pa.Table) -> pa.Table:
        """Adds rows to ``inspection_results``."""
        key, table = "result_id", "inspection_results"
        seen = rows.filter(rows["image_id"].is_valid())
        unknown = self._copies(seen, key, f"{table}: unknown label")
        codes = [text_array([str(self.rng.choice(UNKNOWN_LABELS))]) for _ in range(unknown.num_rows)]
        unknown = _replaced(_replaced(unknown, "defect_codes", codes), "decision", ["FAIL"] * len(codes))
        orphan = self._copies(seen, key, f"{table}: orphan key")
        early = self._copies(seen, key, f"{table}: clock in the future")
        times = _later(early, "decided_at", np.arange(early.num_rows))
        extra = [
            unknown,
            _replaced(orphan, "image_id", uuids(self.rng, orphan.num_rows)),
            _replaced(early, "decided_at", times),
            self._copies(seen, key, f"{table}: duplicate"),
        ]
        return pa.concat_tables([rows, *extra])

    def orders(self, rows: pa.Table) -> pa.Table:
        """Adds orders that begin in the future; no image belongs to them."""
        early = self._copies(rows, None, "production_orders: clock in the future")
        every = np.arange(early.num_rows)
        early = _replaced(early, "production_order_id", [f"PO-8{number:06d}" for number in every])
        for column in ("started_at", "completed_at"):
            early = _replaced(early, column, _later(early, column, every))
        return pa.concat_tables([rows, early])

    def _amount(self, rows: pa.Table) -> int:
        available = int(rows.num_rows)
        return min(available, max(AT_LEAST, round(SHARE * available)))

    def _copies(self, rows: pa.Table, key: str | None, name: str) -> pa.Table:
        """Copies of random rows under new keys, counted as `name`."""
        amount = self._amount(rows)
        self.counts[name] += amount
        chosen = rows.take(self.rng.choice(rows.num_rows, amount, replace=False))
        return chosen if key is None else _replaced(chosen, key, uuids(self.rng, amount))

    def _two_groups(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        amount = self._amount(rows)
        chosen = self.rng.choice(rows.num_rows, 2 * amount, replace=False)
        return chosen[:amount], chosen[amount:]


def _replaced(rows: pa.Table, column: str, values: object) -> pa.Table:
    index = rows.column_names.index(column)
    return rows.set_column(index, column, pa.array(values, rows.schema.field(column).type))


def _later(rows: pa.Table, column: str, which: np.ndarray) -> pa.Array:
    """The column's times, those of `which` moved into the future."""
    times = rows[column].cast(pa.int64()).to_numpy().copy()
    times[which] += FAR_FUTURE_MS
    return instants(times)
