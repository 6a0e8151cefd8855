"""Readings of many images: measured once each and kept in the object store, a file per day of capture.

    gauge/<day of capture>.parquet      one row per measured image, with what it was measured by

A reading is measured again when its plan, its specification, its camera's calibration or the method has
changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from inspection.cache import read_original
from inspection.dataset import Sample
from inspection.errors import ImageError
from inspection.gauge.calibration import CameraHistory
from inspection.gauge.plan import Plan
from inspection.gauge.read import measure, planned
from inspection.gauge.reading import Reading
from inspection.gauge.specification import Specification
from inspection.progress import report
from inspection.store import ObjectStore

METHOD = "1"
"""Raise it with every change of how an image is measured."""
UNREADABLE = "the image cannot be read"

_DIMENSION = pa.struct(
    [
        ("dimension", pa.string()),
        ("measured_mm", pa.float64()),
        ("nominal_mm", pa.float64()),
        ("tolerance_mm", pa.float64()),
        ("box", pa.list_(pa.int64(), 4)),
    ]
)
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("basis", pa.string()),
        ("part_type", pa.string()),
        ("camera_id", pa.string()),
        ("not_applicable", pa.string()),
        ("dimensions", pa.list_(_DIMENSION)),
    ]
)


@dataclass(frozen=True)
class Instrument:
    """What images are measured by.

    Attributes:
        specifications: by part type.
    """

    plan: Plan
    specifications: Mapping[str, Specification]
    cameras: CameraHistory

    def read(self, sample: Sample, root: Path) -> Reading:
        """Measures the original of a sample with its camera's calibration at the time of capture."""
        camera = self.cameras.at(sample.camera_id, sample.captured_at)
        nothing = Reading(part_type=sample.part_type, camera_id=sample.camera_id)
        try:
            image = read_original(root, sample.image_path)
            return measure(image, sample.part_type, sample.camera_id, camera, self.specifications, self.plan)
        except ImageError:
            return nothing.without(UNREADABLE)

    def basis(self, sample: Sample) -> str | Reading:
        """Returns the digest of what a reading depends on beside the image, or the reading if none counts."""
        camera = self.cameras.at(sample.camera_id, sample.captured_at)
        wanted = planned(sample.part_type, camera, self.specifications, self.plan)
        if isinstance(wanted, str):
            return Reading(part_type=sample.part_type, camera_id=sample.camera_id, not_applicable=wanted)
        return _digest([METHOD, self.plan.search_mm, *(basis.model_dump(mode="json") for basis in wanted)])


def read_all(
    store: ObjectStore, samples: Sequence[Sample], instrument: Instrument, root: Path
) -> dict[str, Reading]:
    """Measures what is not measured yet, and returns all readings by image id.

    Args:
        store: keeps them.
        samples: whose originals are measured.
        instrument: what by.
        root: folder of the originals.
    """
    days: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        days[sample.day.isoformat()].append(sample)
    readings: dict[str, Reading] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for day, wanted in sorted(days.items()):
            key = f"gauge/{day}.parquet"
            kept = _read_shard(store, key)
            bases = {sample.image_id: instrument.basis(sample) for sample in wanted}
            readings |= {n: basis for n, basis in bases.items() if isinstance(basis, Reading)}
            there = {n: kept[n][1] for n, basis in bases.items() if n in kept and kept[n][0] == basis}
            missing = [s for s in wanted if s.image_id not in readings and s.image_id not in there]
            found = zip(missing, pool.map(lambda s: instrument.read(s, root), missing), strict=True)
            new = {sample.image_id: reading for sample, reading in found}
            readings |= there | new
            # An image that cannot be read now is tried again next time.
            kept |= {
                n: (str(bases[n]), reading)
                for n, reading in new.items()
                if reading.not_applicable != UNREADABLE
            }
            if new:
                store.put(key, to_parquet(kept))
            report("dimension gauge", len(readings), len(samples))
    return readings


def to_parquet(rows: Mapping[str, tuple[str, Reading]]) -> bytes:
    """Returns readings, each with its basis, by image id as a Parquet file."""
    table = [
        {"image_id": name, "basis": basis, **reading.model_dump(mode="json")}
        for name, (basis, reading) in sorted(rows.items())
    ]
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(table, SCHEMA), buffer)
    return buffer.getvalue()


def from_parquet(data: bytes) -> dict[str, tuple[str, Reading]]:
    """Returns what `to_parquet` wrote."""
    rows = pq.read_table(BytesIO(data)).to_pylist()
    return {row["image_id"]: (row["basis"], _reading(row)) for row in rows}


def _reading(row: Mapping[str, object]) -> Reading:
    return Reading.model_validate({name: row[name] for name in Reading.model_fields})


def _read_shard(store: ObjectStore, key: str) -> dict[str, tuple[str, Reading]]:
    return from_parquet(store.get(key)) if store.exists(key) else {}


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
