"""The training dataset: read from a real warehouse, and known by its fingerprint."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from inspection.dataset import Box, Sample, TrainingData, check_classes, read_training_data
from inspection.errors import InsufficientDataError, OntologyError
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.inspection.learning.toy import BEGIN, sample

BOX = Box("DENT", 1, 2, 3, 4)
SAMPLES = (
    sample("i1", ("DENT",), boxes=(BOX,)),
    sample("i2"),
    sample("i3", ("RUST",), split="validation", fold_id=5, sample_weight=2.0),
    sample("i4", split="test", fold_id=None),
)
DATA = TrainingData("r1", SAMPLES)

MARTS = """
create schema marts;
create table marts.training_dataset (
    image_id text, release_id text, image_path text, part_type text, camera_id text, line_id text,
    production_order_id text, capture_timestamp timestamptz, label text, labels text[], split text,
    fold_id smallint, sample_weight double precision, repeats integer not null default 1
);
create table marts.fct_image_boxes (
    annotation_id text, image_id text, defect_class text, bbox_x double precision, bbox_y double precision,
    bbox_width double precision, bbox_height double precision
);
create table marts.fct_image_labels (image_id text, label_source text);
create schema if not exists intermediate;
create table intermediate.int_images (image_id text, plant_id text);
"""
ROWS = """
insert into marts.training_dataset values
    ('i2', 'old', 'b.jpg', 'gear', 'c2', 'l2', 'o2', '2026-03-02 00:30+00', 'FINE', '{}',
        'test', null, 1.5),
    ('i1', 'old', 'a.jpg', 'shaft', 'c1', 'l1', 'o1', '2026-03-01 08:00+00', 'RUST', '{RUST,DENT}',
        'train', 2, 1);
insert into marts.fct_image_boxes values
    ('n3', 'i1', 'RUST', 5, 6, 7, 8), ('n2', 'i1', 'DENT', 2.5, 0, 1, 1), ('n1', 'i1', 'DENT', 1, 2, 3, 4),
    ('n4', 'elsewhere', 'DENT', 1, 1, 1, 1);
"""
RELEASES = """
insert into releases.split_releases (release_id, as_of, policy, window_days, created_at) values
    ('new', now(), 'chronological', 180, '2026-03-02'), ('old', now(), 'chronological', 180, '2026-03-01')
"""
TOKYO = """
do $$ begin
    execute format('alter database %I set timezone to ''Asia/Tokyo''', current_database());
end $$
"""


def run(settings: Settings, *statements: str) -> str:
    """Runs statements on the warehouse and returns its address."""
    dsn = settings.dsn("warehouse")
    with transaction(dsn) as cursor:
        for statement in statements:
            cursor.execute(statement)
    return dsn


def test_rows_come_with_their_boxes_in_order(settings: Settings) -> None:
    again = "update marts.training_dataset set repeats = 3 where image_id = 'i1'"
    data = read_training_data(run(settings, MARTS, ROWS, RELEASES, again))

    assert data.split_release == "old"  # a newer release may wait for its dataset
    first, second = data.samples
    assert first == sample(
        "i1",
        ("RUST", "DENT"),
        image_path="a.jpg",
        captured_at=BEGIN,
        fold_id=2,
        repeats=3,
        boxes=(Box("DENT", 1, 2, 3, 4), Box("DENT", 2.5, 0, 1, 1), Box("RUST", 5, 6, 7, 8)),
    )
    assert (second.image_id, second.label, second.labels, second.boxes) == ("i2", "FINE", (), ())
    assert (second.split, second.fold_id, second.sample_weight) == ("test", None, 1.5)
    assert (second.part_type, second.camera_id, second.line_id) == ("gear", "c2", "l2")
    assert (second.production_order_id, second.repeats) == ("o2", 1)
    assert (first.plant_id, first.label_source) == (None, None)


def test_plant_and_label_source_come_from_the_marts_and_do_not_change_the_fingerprint(
    settings: Settings,
) -> None:
    dsn = run(settings, MARTS, ROWS, RELEASES)
    before = read_training_data(dsn)
    known = """
        insert into marts.fct_image_labels values ('i1', 'consensus');
        insert into intermediate.int_images values ('i2', 'plant-2'), ('i1', null);
    """
    after = read_training_data(run(settings, known))
    assert [(s.plant_id, s.label_source) for s in after.samples] == [(None, "consensus"), ("plant-2", None)]
    assert after.fingerprint == before.fingerprint


def test_equal_rows_have_an_equal_fingerprint_whatever_the_time_zone(settings: Settings) -> None:
    dsn = run(settings, MARTS, ROWS, RELEASES)
    before = read_training_data(dsn)
    run(settings, TOKYO)
    after = read_training_data(dsn)
    assert before.samples[0].captured_at.utcoffset() != after.samples[0].captured_at.utcoffset()
    assert after.fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ((), "materialize the marts"),
        ((MARTS,), "release a split"),
        ((MARTS, RELEASES), "release a split"),
        (
            (MARTS, ROWS, "update marts.training_dataset set release_id = 'new' where image_id = 'i1'"),
            "mixes the split releases new, old",
        ),
    ],
)
def test_a_dataset_that_cannot_be_used_is_refused(
    settings: Settings, statements: tuple[str, ...], message: str
) -> None:
    dsn = run(settings, *statements)
    with pytest.raises(InsufficientDataError, match=message):
        read_training_data(dsn)


def test_the_fingerprint_does_not_depend_on_the_order() -> None:
    mixed = list(SAMPLES)
    random.Random(1).shuffle(mixed)
    assert TrainingData("r1", tuple(mixed)).fingerprint == DATA.fingerprint
    assert len(DATA.fingerprint) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"label": "RUST"},
        {"labels": ("DENT", "RUST")},
        {"split": "test"},
        {"fold_id": 2},
        {"sample_weight": 1.5},
        {"repeats": 2},
        {"image_path": "other.png"},
        {"captured_at": BEGIN + timedelta(microseconds=1)},
        {"boxes": ()},
        {"boxes": (replace(BOX, x=1.5),)},
        {"production_order_id": "o2"},
    ],
)
def test_the_fingerprint_changes_with_each_field(change: dict[str, object]) -> None:
    changed = (replace(SAMPLES[0], **change), *SAMPLES[1:])  # type: ignore[arg-type]
    assert TrainingData("r1", changed).fingerprint != DATA.fingerprint


def test_the_fingerprint_changes_with_the_release_and_with_the_rows() -> None:
    prints = {
        DATA.fingerprint,
        TrainingData("r2", SAMPLES).fingerprint,
        TrainingData("r1", SAMPLES[:3]).fingerprint,
        TrainingData("r1", ()).fingerprint,
    }
    assert len(prints) == 4


def test_sides_and_subsets() -> None:
    assert [s.image_id for s in DATA.side("train")] == ["i1", "i2"]
    assert [s.image_id for s in DATA.side("validation")] == ["i3"]
    assert [s.image_id for s in DATA.side("test")] == ["i4"]
    assert DATA.only(["i4", "i1", "unknown"]).samples == (SAMPLES[0], SAMPLES[3])
    assert DATA.only([]).samples == ()
    assert DATA.only([]).split_release == "r1"


def test_the_day_of_capture_is_that_of_utc() -> None:
    assert sample(captured_at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC)).day == date(2026, 3, 1)
    tokyo = timezone(timedelta(hours=9))
    assert sample(captured_at=datetime(2026, 3, 1, 8, tzinfo=tokyo)).day == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("samples", "clean", "told"),
    [
        ((), "FINE", None),
        (SAMPLES, "FINE", None),
        (SAMPLES, None, None),
        ((sample(labels=("DENT", "TEAR")),), None, r"TEAR \(1 images\)"),
        ((sample(labels=("TEAR",)), sample("i2", ("HOLE", "TEAR"))), "FINE", r"HOLE \(1 images\), TEAR \(2 "),
        ((sample(labels=("DENT",), boxes=(replace(BOX, defect_class="TEAR"),)),), None, "TEAR"),
        ((sample(label="GOOD"),), "FINE", "GOOD"),
        ((sample(label="GOOD"),), None, None),
    ],
)
def test_labels_that_the_ontology_does_not_have_are_named(
    samples: tuple[Sample, ...], clean: str | None, told: str | None
) -> None:
    if told is None:
        check_classes(samples, ("DENT", "RUST"), clean)
        return
    with pytest.raises(OntologyError, match=rf"{told}.*publish an ontology"):
        check_classes(samples, ("DENT", "RUST"), clean)
