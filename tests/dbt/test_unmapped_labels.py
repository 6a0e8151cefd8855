"""Unmapped labels are listed for a person, and take no part in training."""

from __future__ import annotations

import json

from inspection.ontology import load_ontology
from inspection.settings import Settings
from resources.dbt import target_path
from tests.dbt.plant import query


def test_each_is_listed_with_its_plant(built: Settings) -> None:
    assert query(
        built,
        "select source_table, raw_label, plant_id, occurrences from marts.unmapped_labels order by 1",
    ) == [("defect_annotations", "see shift report", "p1", 1), ("inspection_results", "kratzer", "p1", 1)]


def test_none_is_in_training(built: Settings) -> None:
    dataset = dict(query(built, "select image_id, label || labels from marts.training_dataset"))
    assert dataset.keys().isdisjoint({"unknown-only", "unmapped-code"})
    known = {each.id for each in load_ontology(built.ontology_file).classes}
    assert {label for labels in dataset.values() for label in labels} <= known


def test_no_model_reads_the_suggestions(built: Settings) -> None:
    manifest = json.loads((target_path(built) / "manifest.json").read_text(encoding="utf-8"))
    (node,) = (name for name in manifest["nodes"] if name == "model.inspection.unmapped_labels")
    assert [child for child in manifest["child_map"][node] if child.startswith(("model.", "snapshot."))] == []
