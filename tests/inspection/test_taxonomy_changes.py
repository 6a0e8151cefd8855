"""What a new taxonomy changes, and which ones labels would not survive."""

from __future__ import annotations

from typing import Any

import pytest

from inspection.errors import OntologyError
from inspection.ontology import DefectClass, Ontology
from inspection.taxonomy_changes import AliasChange, LabelUse, find_changes, refuse_loss

CLEAN = {"id": "FINE", "aliases": ["ok"], "clean": True}
DENT = {"id": "DENT", "aliases": ["ding", "dip"]}
RUST = {"id": "RUST", "aliases": ["oxid"]}
USES = [
    LabelUse("annotation", "Ding", 1000),
    LabelUse("annotation", "d-ing", 200),
    LabelUse("annotation", "dip", 30),
    LabelUse("annotation", "bump", 7),
    LabelUse("annotation", "ok", 5),
    LabelUse("inspector code", "DING", 40),
]


def taxonomy(*classes: dict[str, Any]) -> Ontology:
    levels = {"severity_levels": ["minor"]}
    made = (DefectClass.model_validate({"label": "x", **levels, **each}) for each in classes)
    return Ontology(ontology="test", version="1", classes=tuple(made))


BEFORE = taxonomy(CLEAN, DENT, RUST)


def test_nothing_before() -> None:
    found = find_changes(None, taxonomy(CLEAN, RUST), [])
    assert found.new_classes == ("FINE", "RUST")
    assert found.aliases == tuple(
        AliasChange(alias, None, of, {})
        for alias, of in [("FINE", "FINE"), ("ok", "FINE"), ("RUST", "RUST"), ("oxid", "RUST")]
    )


def test_nothing_changed() -> None:
    found = find_changes(BEFORE, BEFORE, USES)
    assert (found.new_classes, found.removed_classes, found.aliases) == ((), (), ())


def test_new_moved_and_dropped_aliases_with_their_uses() -> None:
    after = taxonomy(
        CLEAN, {**DENT, "aliases": ["bu mp"]}, {**RUST, "aliases": ["oxid", "ding"]}, {"id": "NEW"}
    )
    found = find_changes(BEFORE, after, USES)
    assert (found.new_classes, found.removed_classes) == (("NEW",), ())
    assert {change.alias for change in found.aliases} == {"ding", "dip", "bu mp", "NEW"}
    by_alias = {change.alias: change for change in found.aliases}
    counts = {"annotation": 1200, "inspector code": 40}
    assert by_alias["ding"] == AliasChange("ding", "DENT", "RUST", counts)
    assert by_alias["dip"] == AliasChange("dip", "DENT", None, {"annotation": 30})
    assert by_alias["bu mp"] == AliasChange("bu mp", None, "DENT", {"annotation": 7})


@pytest.mark.parametrize(
    "after",
    [
        pytest.param((CLEAN, DENT, RUST), id="the same"),
        pytest.param((CLEAN, DENT), id="an unused class goes"),
        pytest.param((CLEAN, {**RUST, "aliases": ["oxid", "ding", "dip"]}), id="merged"),
        pytest.param(({**CLEAN, "id": "GOOD"}, DENT, RUST), id="the clean class is renamed"),
        pytest.param((CLEAN, {**DENT, "aliases": []}, RUST), id="an alias is taken back"),
        pytest.param(({**CLEAN, "aliases": ["ok", "ding"]}, {**DENT, "aliases": []}, RUST), id="moved"),
    ],
)
def test_accepted(after: tuple[dict[str, Any], ...]) -> None:
    refuse_loss(BEFORE, taxonomy(*after), USES, {"DENT": "abc"})


@pytest.mark.parametrize(
    ("after", "told"),
    [
        pytest.param(
            (CLEAN, RUST),
            "class DENT is used by 1,230 annotations and 40 inspector codes: keep it, or give its labels "
            "(ding, dip) to another class of defects",
            id="gone",
        ),
        pytest.param(
            (CLEAN, {**RUST, "aliases": ["oxid", "ding"]}),
            "class DENT is used by 30 annotations: keep it, or give its labels (dip) to another class of "
            "defects",
            id="merged in part",
        ),
        pytest.param(
            ({**CLEAN, "aliases": ["ok", "ding", "dip"]}, RUST),
            "class DENT is used by 1,230 annotations and 40 inspector codes: keep it, or give its labels "
            "(ding, dip) to another class of defects",
            id="merged into the clean class",
        ),
        pytest.param(
            ({**CLEAN, "clean": False}, {**DENT, "clean": True}, RUST),
            "class FINE is used by 5 annotations: keep it, or give its labels (ok) to the clean class; "
            "class DENT is used by 1,230 annotations and 40 inspector codes: keep it, or give its labels "
            "(ding, dip) to another class of defects",
            id="turned clean",
        ),
    ],
)
def test_refused_with_the_count(after: tuple[dict[str, Any], ...], told: str) -> None:
    with pytest.raises(OntologyError) as caught:
        refuse_loss(BEFORE, taxonomy(*after), USES, {})
    assert str(caught.value) == told


def test_the_production_model_is_told() -> None:
    with pytest.raises(OntologyError, match=r"40 inspector codes, and the production model abc names it"):
        refuse_loss(BEFORE, taxonomy(CLEAN, RUST), USES, {"DENT": "abc"})


def test_many_labels_are_not_all_listed() -> None:
    before = taxonomy(CLEAN, RUST, {"id": "DENT", "aliases": list("abcdef")})
    uses = [LabelUse("annotation", label, 1) for label in "abcdef"]
    with pytest.raises(OntologyError, match=r"6 annotations: .*\(a, b, c, d, e, \.\.\.\)"):
        refuse_loss(before, taxonomy(CLEAN, RUST), uses, {})
