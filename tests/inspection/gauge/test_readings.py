"""Readings are kept by day, and made again only when what they rest on has changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inspection.dataset import Sample
from inspection.gauge.calibration import camera_history
from inspection.gauge.reading import Reading
from inspection.gauge.readings import Instrument, from_parquet, read_all, to_parquet
from inspection.gauge.specification import Specification
from inspection.progress import listening
from inspection.store import LocalStore
from tests.inspection.gauge.drawn import HEIGHT, PLAN, SCALE, SIZES, SPECIFICATIONS, WIDTH, stepped
from tests.inspection.learning.toy import BEGIN, sample, save_picture

CONFIG = {"camera_id": "c1", "effective_from": "2026-01-01", "width": WIDTH, "height": HEIGHT}
INSTRUMENT = Instrument(PLAN, SPECIFICATIONS, camera_history([CONFIG | {"px_per_mm": SCALE}], []))
DAMAGED = "damaged"


@pytest.fixture
def plant(tmp_path: Path) -> tuple[LocalStore, Path, list[Sample]]:
    """Three parts on two days, a damaged file, and a part that no plan knows."""
    root = tmp_path / "images"
    samples = []
    for number, bore in enumerate((11.5, 12.0, 12.5)):
        name = f"part-{number}"
        save_picture(root / f"{name}.png", stepped(SIZES | {"bore": bore}))
        day = BEGIN + timedelta(days=number // 2)
        samples.append(sample(name, part_type="stepped", captured_at=day))
    (root / f"{DAMAGED}.png").write_bytes(b"nothing")
    samples.append(sample(DAMAGED, part_type="stepped"))
    samples.append(sample("other", part_type="gear", image_path="no such file"))
    return LocalStore(tmp_path / "store"), root, samples


def bores(readings: dict[str, Reading]) -> list[float]:
    return [
        round(dimension.measured_mm, 1)
        for name in sorted(readings)
        for dimension in readings[name].dimensions
        if dimension.dimension == "bore"
    ]


def test_each_image_is_measured_once(plant: tuple[LocalStore, Path, list[Sample]]) -> None:
    store, root, samples = plant
    told: list[tuple[str, int, int, str]] = []
    with listening(lambda *words: told.append(words)):
        first = read_all(store, samples, INSTRUMENT, root)
    assert told == [("dimension gauge", 4, 5, ""), ("dimension gauge", 5, 5, "")]
    assert bores(first) == [11.5, 12.0, 12.5]
    assert first[DAMAGED].not_applicable == "the image cannot be read"
    assert first["other"].not_applicable == "no measurement plan of the part type"
    assert store.list("gauge/") == ["gauge/2026-03-01.parquet", "gauge/2026-03-02.parquet"]

    shutil.rmtree(root)
    root.mkdir()
    assert read_all(store, samples, INSTRUMENT, root) == first  # from the store alone

    save_picture(root / f"{DAMAGED}.png", stepped())  # repaired: it is tried again
    assert bores(read_all(store, samples, INSTRUMENT, root)) == [12.0, 11.5, 12.0, 12.5]


def test_what_a_reading_rests_on_makes_it_new(plant: tuple[LocalStore, Path, list[Sample]]) -> None:
    store, root, samples = plant
    read_all(store, samples, INSTRUMENT, root)
    tighter = {"stepped": Specification(revision=2, nominal=SIZES, tolerance=dict.fromkeys(SIZES, 0.4))}
    changed = read_all(store, samples, replace(INSTRUMENT, specifications=tighter), root)
    assert {d.tolerance_mm for d in changed["part-0"].dimensions} == {0.4}
    coarser = camera_history([CONFIG | {"px_per_mm": SCALE * 12 / 12.5}], [])
    assert bores(read_all(store, samples, replace(INSTRUMENT, cameras=coarser), root)) == [12.0, 12.5, 13.0]


def test_a_calibration_from_after_the_capture_changes_nothing(
    plant: tuple[LocalStore, Path, list[Sample]],
) -> None:
    store, root, samples = plant
    first = read_all(store, samples[:3], INSTRUMENT, root)
    shutil.rmtree(root)
    root.mkdir()
    rows = [CONFIG | {"px_per_mm": SCALE}, CONFIG | {"px_per_mm": 9, "effective_from": "2026-06-01"}]
    later = replace(INSTRUMENT, cameras=camera_history(rows, []))
    assert read_all(store, samples[:3], later, root) == first


def test_rows_come_back_as_they_were() -> None:
    found = Reading(part_type=None, camera_id="c1", not_applicable="no")
    assert from_parquet(to_parquet({"a": ("x", found)})) == {"a": ("x", found)}
    assert from_parquet(to_parquet({})) == {}
