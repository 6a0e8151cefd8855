"""Labels, boxes and quarantine, each held against an answer that does not come from the models."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from inspection.ontology import load_ontology, normalise_label
from inspection.settings import Settings
from resources.dbt import PROJECT
from tests.dbt.generated import LABELS, QUARANTINED, UNSETTLED
from tests.dbt.plant import dbt, query


@pytest.mark.parametrize("image", LABELS)
def test_settled_label(built: Settings, image: str) -> None:
    found = query(
        built, "select label, labels, label_source from marts.fct_image_labels where image_id = %s", [image]
    )
    assert found == [LABELS[image]]


def test_unsettled_labels_wait_with_their_reason(built: Settings) -> None:
    found = dict(query(built, "select image_id, reason from marts.adjudication_queue"))
    assert {image: found.get(image) for image in UNSETTLED} == UNSETTLED
    assert not query(
        built,
        "select image_id from marts.adjudication_queue intersect select image_id from marts.fct_image_labels",
    )


def test_bad_rows_are_counted_by_reason(built: Settings) -> None:
    found = query(built, "select source_table, reason, count(*) from marts.quarantined_rows group by 1, 2")
    assert {(table, reason): count for table, reason, count in found} == QUARANTINED


def test_no_annotation_is_lost(built: Settings) -> None:
    ((raw, valid, aside),) = query(
        built,
        """
        select
            (select count(*) from raw_quality_vision.defect_annotations),
            (select count(*) from marts.fct_annotations),
            (select count(*) from marts.quarantined_rows where source_table = 'defect_annotations')
        """,
    )
    assert raw == valid + aside


def test_consensus_is_what_counting_votes_gives(built: Settings) -> None:
    ontology = load_ontology(built.ontology_file)
    votes: dict[str, dict[str, tuple[int, set[str]]]] = defaultdict(dict)
    for image, annotator, defect_class, confidence in query(
        built, "select image_id, annotator_id, defect_class, confidence from marts.fct_annotations"
    ):
        if confidence >= 3:
            weight, marked = votes[image].get(annotator, (0, set()))
            new = set() if defect_class == ontology.clean_class.id else {defect_class}
            votes[image][annotator] = (max(weight, confidence), marked | new)
    expected = {}
    for image, ballots in votes.items():
        total = sum(weight for weight, _ in ballots.values())
        labels = set()
        for defect in ontology.defect_classes:
            weight = sum(weight for weight, marked in ballots.values() if defect.id in marked)
            if 2 * weight > total:
                labels.add(defect.id)
            elif 2 * weight == total or (weight and defect.safety_critical):
                break
        else:
            expected[image] = labels
    found = query(
        built, "select image_id, labels from marts.fct_image_labels where label_source = 'consensus'"
    )
    usable = {image for (image,) in query(built, "select image_id from staging.stg_images")}
    assert {image: set(labels) for image, labels in found} == {
        image: labels for image, labels in expected.items() if image in usable
    }


def test_boxes_are_those_of_the_label(built: Settings) -> None:
    boxes = query(
        built,
        "select image_id, defect_class, bbox_x from marts.fct_image_boxes where image_id = any(%s)"
        " order by image_id, bbox_x",
        [list(LABELS) + list(UNSETTLED)],
    )
    assert boxes == [
        ("one-crack", "CRACK", 10),
        ("scratch-and-crack", "SURFACE_SCRATCH", 10),
        ("scratch-and-crack", "SURFACE_SCRATCH", 10),
        ("scratch-and-crack", "CRACK", 500),
    ]


@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    labels=st.lists(
        st.text(
            alphabet=st.sampled_from("aZ äÖß_-\t\n9Éé")
            | st.characters(codec="ascii", exclude_categories=["Cc"])
        )
    )
)
def test_the_macro_normalises_as_python_does(built: Settings, labels: list[str]) -> None:
    macro = r"lower(regexp_replace(label, '[\s_-]', '', 'g'))"
    found = query(
        built,
        f"select {macro} from unnest(%s::text[]) with ordinality as typed (label, n) order by n",
        [labels],
    )
    assert [value for (value,) in found] == [normalise_label(label) for label in labels]


def test_the_macro_is_the_one_held_against_python() -> None:
    text = (PROJECT / "macros" / "normalise_label.sql").read_text(encoding="utf-8")
    assert r"lower(regexp_replace({{ label }}, '[\s_-]', '', 'g'))" in text


def test_unit_tests_of_the_models(built: Settings) -> None:
    dbt(built, "test", "--select", "test_type:unit")


def test_quarantine_names_each_row_once(built: Settings) -> None:
    keys = query(built, "select source_table, source_key from marts.quarantined_rows")
    assert max(Counter(keys).values()) == 1
