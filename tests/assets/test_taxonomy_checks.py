"""A label that nobody claims, from quarantine to its class: real models, real checks, real runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets import labels, marts, taxonomy_checks
from inspection.ontology import DEFAULT_ONTOLOGY
from inspection.publication import publish
from inspection.settings import Settings
from inspection.taxonomy_comparison import Difference
from tests.dbt.plant import RawPlant, query

BOX = {"x": 1, "y": 1, "width": 2, "height": 2}
TOLD = ("qms_taxonomy", "all_labels_mapped", "moved_from_quarantine")


def plant() -> RawPlant:
    """Five usable annotations with an unknown word, and what must not be counted with them."""
    raw = RawPlant()
    for where in ("p1", "p2"):
        raw.order(f"PO-{where}", plant=where)
    for n, word in enumerate(("kratzer", "Kratzer", "kratzer")):
        raw.image(f"a{n}", "PO-p1")
        raw.annotation(f"a{n}", "ann", word, box=BOX)
    for n in range(2):
        raw.image(f"b{n}", "PO-p2")
        raw.annotation(f"b{n}", "ann", "KRATZER", box=BOX)
    raw.annotation("lost", "ann", "kratzer")
    raw.annotation("b0", "bob", "kratzer", box={**BOX, "width": -1})
    raw.annotation("b1", "bob", "scrach", box=BOX)
    raw.image("coded", "PO-p2")
    raw.result("coded", "FAIL", ["kratzer"])
    raw.image("coded twice", "PO-p2")
    raw.result("coded twice", "FAIL", ["kratzer", "blob?"])
    return raw


def build() -> tuple[bool, dict[str, dg.AssetCheckEvaluation]]:
    """Runs all up to the labels; returns success and what the checks of the taxonomy said."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [labels.ontology, marts.label_models, *taxonomy_checks.taxonomy_checks],
            instance=instance,
            raise_on_error=False,
        )
    return result.success, {
        told.check_name: told for told in result.get_asset_check_evaluations() if told.check_name in TOLD
    }


def table(told: dg.AssetCheckEvaluation, name: str) -> list[dict[str, Any]]:
    value = told.metadata[name]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def unknown(settings: Settings) -> int:
    found = query(settings, "select count(*) from marts.quarantined_rows where reason = 'unknown_label'")
    return int(found[0][0])


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    plant().load(settings)
    for module in (labels, marts, taxonomy_checks):
        monkeypatch.setattr(module, "get_settings", lambda: settings)
    return settings


# dagster-dbt reads the context by names that dagster has replaced.
@pytest.mark.filterwarnings(r"ignore:AssetExecutionContext\.\w+ is deprecated")
@pytest.mark.slow
def test_a_new_alias_moves_its_rows_from_quarantine(home: Settings, tmp_path: Path) -> None:
    success, told = build()
    assert success
    assert {name: (told[name].passed, told[name].severity.name) for name in TOLD} == {
        "qms_taxonomy": (True, "WARN"),
        "all_labels_mapped": (False, "WARN"),
        "moved_from_quarantine": (True, "WARN"),
    }
    assert (told["all_labels_mapped"].description or "").startswith("3 labels, used 10 times,")
    rows = {
        (row["source_table"], row["raw_label"], row["plant_id"]): row
        for row in table(told["all_labels_mapped"], "labels")
    }
    counts = {key: row["occurrences"] for key, row in rows.items()}
    assert counts == {
        ("defect_annotations", "kratzer", "p1"): 3,
        ("defect_annotations", "KRATZER", "p2"): 3,
        ("defect_annotations", "scrach", "p2"): 1,
        ("inspection_results", "kratzer", "p2"): 2,
        ("inspection_results", "blob?", "p2"): 1,
    }
    scrach = rows["defect_annotations", "scrach", "p2"]
    # "  s", " sc", "scr", "cra" and "ch " of seven and eight trigrams.
    assert (scrach["nearest_alias"], scrach["nearest_class"]) == ("scratch", "SURFACE_SCRATCH")
    assert scrach["similarity"] == 0.5
    assert unknown(home) == 9  # annotations 3 + 2 + 1 broken + 1, decisions 2
    assert query(home, "select image_id from marts.fct_image_labels") == []

    published = publish(home.dsn("warehouse"), with_alias(tmp_path))
    assert published.freed == {"defect_annotations": 6, "inspection_results": 1}
    waiting = taxonomy_checks.moved_from_quarantine()
    assert isinstance(waiting, dg.AssetCheckResult)
    assert not waiting.passed
    assert "0 of 7 rows moved" in (waiting.description or "")

    home.published_ontology.write_text(with_alias(tmp_path).read_text())
    success, told = build()
    assert success
    moved = told["moved_from_quarantine"]
    # One of the seven has a broken box, and stays aside for that.
    assert moved.passed
    assert moved.description == ("6 of 7 rows moved from quarantine since machined_parts 1.1.0 was published")
    assert moved.metadata["moved"].value == 6
    assert [
        (row["source_table"], row["moved"], row["set_aside_otherwise"]) for row in table(moved, "rows")
    ] == [("defect_annotations", 5, 1), ("inspection_results", 1, 0)]
    assert unknown(home) == 9 - 7
    assert query(home, "select reason, count(*) from marts.quarantined_rows group by 1 order by 1") == [
        ("broken_box", 1),
        ("orphan_image", 1),
        ("unknown_label", 2),
    ]
    assert query(home, "select image_id, label from marts.fct_image_labels order by 1") == [
        (image, "SURFACE_SCRATCH") for image in ("a0", "a1", "a2", "b0", "b1", "coded")
    ]


def with_alias(folder: Path) -> Path:
    document = json.loads(DEFAULT_ONTOLOGY.read_text(encoding="utf-8"))
    (scratch,) = (each for each in document["classes"] if each["id"] == "SURFACE_SCRATCH")
    scratch["aliases"].append("kratzer")
    file = folder / "taxonomy.json"
    file.write_text(json.dumps({**document, "version": "1.1.0"}), encoding="utf-8")
    return file


def test_what_the_comparison_says() -> None:
    nothing = taxonomy_checks.comparison_result(None)
    assert nothing.metadata["status"].value == "not applicable"
    assert taxonomy_checks.comparison_result([]).passed
    found = [Difference("RUST", "label", "Rust", "Corrosion"), Difference("RUST", "parent", None, "X")]
    told = taxonomy_checks.comparison_result(found)
    assert (told.passed, told.severity, told.description) == (
        False,
        dg.AssetCheckSeverity.WARN,
        "2 differences, in RUST",
    )
    value = told.metadata["differences"]
    assert isinstance(value, dg.TableMetadataValue)
    assert dict(value.records[0].data) == vars(found[0])
