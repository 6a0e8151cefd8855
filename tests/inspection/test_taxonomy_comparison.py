"""The quality management system's taxonomy beside the published one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inspection.ontology import Ontology, parse_ontology
from inspection.publication import publish
from inspection.settings import Settings
from inspection.taxonomy_comparison import Difference, QmsClass, compare_taxonomies, find_differences
from inspection.warehouse import transaction

DOCUMENT = {
    "ontology": "test",
    "version": "1",
    "classes": [
        {"id": "FINE", "label": "Fine", "clean": True, "aliases": ["ok"]},
        {"id": "DENT", "label": "Dent", "aliases": ["ding", "dip"], "severity_levels": ["a", "b"]},
        {"id": "RUST", "label": "Rust", "parent": "SURFACE", "severity_levels": ["a"]},
    ],
}
FINE = QmsClass("FINE", "Fine", None, ["OK"], [])
DENT = QmsClass("DENT", "Dent", None, ["ding"], ["a", "b"])
RUST = QmsClass("RUST", "Rust", "SURFACE", [], ["a"])


@pytest.fixture(scope="module")
def published() -> Ontology:
    return parse_ontology(json.dumps(DOCUMENT))


@pytest.mark.parametrize(
    ("qms", "expected"),
    [
        ([FINE, DENT, RUST], []),
        ([DENT, RUST], [Difference("FINE", "class", "FINE", None)]),
        (
            [FINE, DENT, RUST, QmsClass("CHIP", "Chip", None, ["chip"], ["a"])],
            [Difference("CHIP", "class", None, "CHIP")],
        ),
        (
            [FINE, DENT, QmsClass("RUST", "Corrosion", None, [], ["a", "b"])],
            [
                Difference("RUST", "label", "Rust", "Corrosion"),
                Difference("RUST", "parent", "SURFACE", None),
                Difference("RUST", "severity levels", "a", "a, b"),
            ],
        ),
        (
            [FINE, DENT, QmsClass("RUST", "Rust", "SURFACE", ["D-ING", "rot"], ["a"])],
            [Difference("RUST", "alias", "D-ING: DENT", "D-ING"), Difference("RUST", "alias", None, "rot")],
        ),
    ],
)
def test_differences(published: Ontology, qms: list[QmsClass], expected: list[Difference]) -> None:
    assert find_differences(published, qms) == expected


def test_rows_as_loaded(settings: Settings, tmp_path: Path) -> None:
    file, dsn = tmp_path / "taxonomy.json", settings.dsn("warehouse")
    file.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    publish(dsn, file)
    assert compare_taxonomies(dsn) is None
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            create schema raw_qms;
            create table raw_qms.defect_taxonomy
                (class_id text, label text, parent text, aliases text, severity_levels text, version text)
            """
        )
    assert compare_taxonomies(dsn) is None
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            insert into raw_qms.defect_taxonomy values
            ('FINE', 'Fine', '', '["ok"]', '[]', '1'),
            ('DENT', 'Dent', null, '["ding"]', '["a", "b"]', '1'),
            ('RUST', 'Rust', 'SURFACE', null, '["a", "c"]', '1')
            """
        )
    assert compare_taxonomies(dsn) == [Difference("RUST", "severity levels", "a", "a, c")]
