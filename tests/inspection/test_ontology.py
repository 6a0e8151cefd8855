"""The taxonomy: which files are refused, and how a typed label finds its class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.errors import OntologyError
from inspection.ontology import DEFAULT_ONTOLOGY, Ontology, load_ontology, normalise_label, parse_ontology

CLEAN = {"id": "FINE", "label": "Fine", "clean": True, "aliases": ["ok"]}
DENT = {"id": "DENT", "label": "Dent", "aliases": ["ding"], "severity_levels": ["minor", "critical"]}
RUST = {"id": "RUST", "label": "Rust", "aliases": ["ox id"], "severity_levels": ["a", "b", "c"]}


def text(*classes: dict[str, Any], **more: Any) -> str:
    return json.dumps({"ontology": "test", "version": "1", "classes": classes, **more})


def parse(*classes: dict[str, Any]) -> Ontology:
    return parse_ontology(text(*classes))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], r"exactly one class.*found none"),
        ([DENT, RUST], r"exactly one class.*found none"),
        ([CLEAN, {**DENT, "clean": True}], r"exactly one class.*'FINE', 'DENT'"),
        ([CLEAN], "at least one defect class"),
        ([CLEAN, DENT, {**RUST, "aliases": ["D-I ng"]}], "alias 'D-I ng' stands in both DENT and RUST"),
        ([CLEAN, DENT, {**RUST, "aliases": ["dent"]}], "alias 'dent' stands in both DENT and RUST"),
        ([CLEAN, DENT, {**RUST, "id": "D_ENT"}], "'D_ENT' stands in both DENT and D_ENT"),
        ([CLEAN, DENT, DENT], "a class id stands twice"),
        ([CLEAN, {**DENT, "aliases": ["_- "]}], "'_- ' is no name"),
        ([CLEAN, {**DENT, "severity_levels": []}], "DENT needs at least one severity level"),
        ([CLEAN, {**DENT, "severity_by_area": [0.1, 0.2]}], "one bound fewer than levels"),
        ([CLEAN, {**RUST, "severity_by_area": [0.2, 0.1]}], "must ascend"),
        ([CLEAN, {**DENT, "action_by_severity": {"huge": "SCRAP"}}], r"unknown levels \['huge'\]"),
        ([CLEAN, {**DENT, "action_by_severity": {"minor": "ACCEPT"}}], "REWORK or SCRAP"),
        ([CLEAN, {**DENT, "colour": "red"}], r"classes\.1\.colour"),
        ([CLEAN, {**DENT, "id": ""}], r"classes\.1\.id"),
    ],
)
def test_contradictions_are_refused_with_their_place(classes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(OntologyError, match=message):
        parse(*classes)


def test_classes_keep_the_order_of_the_file() -> None:
    ontology = parse(RUST, CLEAN, {**DENT, "safety_critical": True})
    assert ontology.clean_class.id == "FINE"
    assert ontology.defect_ids == ("RUST", "DENT")
    assert ontology.safety_critical_ids == ("DENT",)
    assert ontology["RUST"].label == "Rust"
    with pytest.raises(OntologyError, match="no class 'BENT'"):
        ontology["BENT"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("DENT", "DENT"),
        ("  dent ", "DENT"),
        ("D-i_n g", "DENT"),
        ("OX_ID", "RUST"),
        ("oxid", "RUST"),
        ("Ok", "FINE"),
        ("dents", None),
        ("", None),
        ("_", None),
    ],
)
def test_resolve(label: str, expected: str | None) -> None:
    assert parse(CLEAN, DENT, RUST).resolve(label) == expected


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_resolve_ignores_case_blanks_underscores_and_hyphens(data: st.DataObject) -> None:
    ontology = load_ontology(DEFAULT_ONTOLOGY)
    name = data.draw(st.sampled_from(sorted(ontology.aliases)))
    fillers = st.text(alphabet=" \t_-", max_size=3)
    letters = [data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name]
    typed = "".join(data.draw(fillers) + letter for letter in letters) + data.draw(fillers)
    assert ontology.resolve(typed) == ontology.aliases[name]


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_normalising_twice_changes_nothing(label: str) -> None:
    # Not every letter of every script folds in one step; the letters of our labels do.
    ascii_label = label.encode("ascii", "ignore").decode()
    once = normalise_label(ascii_label)
    assert normalise_label(once) == once


@pytest.mark.parametrize(
    ("area", "equal_steps", "own_bounds"),
    [
        (0.0, "a", "a"),
        (0.01, "a", "a"),
        (0.02, "a", "b"),
        (1 / 3, "a", "c"),
        (0.5, "b", "c"),
        (1.0, "c", "c"),
    ],
)
def test_severity_steps(area: float, equal_steps: str, own_bounds: str) -> None:
    # Equal steps over three levels end at 1/3 and 2/3; a bound belongs to the level below it.
    assert parse(CLEAN, RUST)["RUST"].severity(area) == equal_steps
    bounded = parse(CLEAN, {**RUST, "severity_by_area": [0.01, 0.1]})
    assert bounded["RUST"].severity(area) == own_bounds


def test_a_single_level_is_always_the_severity() -> None:
    rust = parse(CLEAN, {**RUST, "severity_levels": ["only"]})["RUST"]
    assert {rust.severity(area) for area in (0.0, 0.5, 1.0)} == {"only"}


def test_actions() -> None:
    dent = parse(CLEAN, DENT)["DENT"]
    assert (dent.action("minor"), dent.action("critical")) == ("REWORK", "SCRAP")
    own = parse(CLEAN, {**DENT, "action_by_severity": {"critical": "REWORK", "minor": "SCRAP"}})["DENT"]
    assert (own.action("minor"), own.action("critical")) == ("SCRAP", "REWORK")


def test_an_unknown_file_says_which_and_how_to_set_it(tmp_path: Path) -> None:
    with pytest.raises(OntologyError, match=r"nowhere\.json.*VQI_ONTOLOGY"):
        load_ontology(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"{", "no valid JSON"),
        (b"[]", "dictionary"),
        (b"{}", "ontology"),
        (text(CLEAN, {**DENT, "label": "Délle"}).replace("\\u00e9", "é").encode("latin-1"), "no UTF-8"),
    ],
)
def test_a_broken_file_is_named(contents: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(contents)
    with pytest.raises(OntologyError, match=rf"broken\.json: .*{message}"):
        load_ontology(path)


def test_default_ontology_resolves_its_own_names() -> None:
    ontology = load_ontology(DEFAULT_ONTOLOGY)
    for defect_class in ontology.classes:
        for name in (defect_class.id, *defect_class.aliases):
            assert ontology.resolve(name) == defect_class.id
    assert ontology.safety_critical_ids
