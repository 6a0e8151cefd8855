"""Agreement of annotators, held against scikit-learn, statsmodels, NLTK and published examples."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from inspection.ontology import load_ontology
from inspection.settings import Settings
from tests.dbt.compiled import compile_models, rows_of
from tests.dbt.plant import query

CLASSES = ("dent", "fine", "mark", "pit")
MODELS = ("label_agreement", "annotator_agreement", "int_annotator_alpha")
PAIRS = "annotator_1 text, annotator_2 text, label_1 text, label_2 text, plant_id text"
LABELS = "image_id text, annotator_id text, plant_id text, label text, annotator_count bigint"
any_case = hypothesis_settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def compiled(module_settings: Settings) -> Settings:
    compile_models(module_settings, *MODELS)
    return module_settings


def by_pair(settings: Settings, judged: list[tuple[str, str]]) -> dict[str, Any]:
    """Two annotators who judged these images: the row of `annotator_agreement`."""
    tables = {
        "int_annotator_pairs": (PAIRS, [("a", "b", *labels, "p") for labels in judged]),
        "dim_defect_class": ("defect_class text", [(name,) for name in CLASSES]),
    }
    (row,) = rows_of(settings, "annotator_agreement", tables)
    return row


def alphas(settings: Settings, judged: list[dict[str, str]]) -> dict[str, tuple[int, float | None]]:
    """Images with the label that each annotator gave them: images and alpha by scope."""
    rows = [
        (f"i{n}", annotator, "p", label, len(labels))
        for n, labels in enumerate(judged)
        for annotator, label in labels.items()
    ]
    tables = {
        "int_annotator_labels": (LABELS, rows),
        "stg_ontology_classes": ("defect_class text", [(name,) for name in CLASSES]),
    }
    found = rows_of(settings, "int_annotator_alpha", tables)
    return {row["scope"]: (row["images"], row["alpha"]) for row in found}


def nominal_alpha(judged: list[dict[str, str]]) -> float | None:
    """Krippendorff's alpha by NLTK; none where all pairable labels are one."""
    said = [(who, n, label) for n, each in enumerate(judged) if len(each) > 1 for who, label in each.items()]
    return AnnotationTask(said).alpha() if len({label for *_, label in said}) > 1 else None


def approximately(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, abs=1e-9)


def test_kappa_of_two_annotators_by_hand(compiled: Settings) -> None:
    judged = (
        [("fine", "fine")] * 20 + [("fine", "mark")] * 5 + [("mark", "fine")] * 10 + [("mark", "mark")] * 15
    )
    row = by_pair(compiled, judged)
    # p_o = 0.7, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5; the variance is (A + B - C) / (50 * 0.5^2) with
    # A = 0.4 * 0.34^2 + 0.3 * 0.46^2, B = 0.36 * (0.1 * 1.1^2 + 0.2 * 0.9^2), C = 0.1^2.
    error = math.sqrt((0.10972 + 0.10188 - 0.01) / 50) / 0.5
    assert (row["pairs"], row["agreement_rate"]) == (50, pytest.approx(0.7))
    assert row["kappa"] == pytest.approx(0.4)
    assert row["kappa_low"] == pytest.approx(0.4 - 1.959964 * error)
    assert row["kappa_high"] == pytest.approx(0.4 + 1.959964 * error)


@pytest.mark.parametrize(
    ("judged", "kappa"),
    [
        ([("fine", "fine")], None),
        ([("mark", "mark")] * 9, None),
        ([("fine", "fine"), ("mark", "mark")], 1.0),
        ([("fine", "mark")], 0.0),
        ([("fine", "mark"), ("mark", "fine")], -1.0),
    ],
)
def test_kappa_at_its_ends(compiled: Settings, judged: list[tuple[str, str]], kappa: float | None) -> None:
    row = by_pair(compiled, judged)
    assert row["kappa"] == approximately(kappa)
    assert (row["kappa_low"] is None) == (row["kappa_high"] is None) == (kappa is None)


@any_case
@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=2, max_size=60))
@example([("fine", "fine")] * 30 + [("mark", "fine")])
def test_kappa_of_any_two_annotators(compiled: Settings, judged: list[tuple[str, str]]) -> None:
    row = by_pair(compiled, judged)
    agreed = sum(one == other for one, other in judged)
    assert (row["pairs"], row["agreement_rate"]) == (len(judged), pytest.approx(agreed / len(judged)))
    low, high = proportion_confint(agreed, len(judged), method="wilson")
    assert (row["agreement_low"], row["agreement_high"]) == pytest.approx((low, high), abs=1e-9)
    if len({label for pair in judged for label in pair}) == 1:
        assert row["kappa"] is None
        return
    one, other = zip(*judged, strict=True)
    assert row["kappa"] == pytest.approx(cohen_kappa_score(one, other), abs=1e-9)
    counts = np.zeros((len(CLASSES), len(CLASSES)))
    for pair in judged:
        counts[CLASSES.index(pair[0]), CLASSES.index(pair[1])] += 1
    with np.errstate(invalid="ignore", divide="ignore"):  # its test against 0, not used here
        reference = cohens_kappa(counts)
    half = 1.959963984540054 * math.sqrt(max(reference.var_kappa, 0))
    assert row["kappa_low"] == pytest.approx(max(reference.kappa - half, -1), abs=1e-6)
    assert row["kappa_high"] == pytest.approx(min(reference.kappa + half, 1), abs=1e-6)


@any_case
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(CLASSES), min_size=1), max_size=30))
def test_alpha_of_any_images(compiled: Settings, judged: list[dict[str, str]]) -> None:
    found = alphas(compiled, judged)
    units = [labels for labels in judged if len(labels) > 1]
    if not units:
        assert found == {}
        return
    assert found["overall"] == found["plant:p"] == (len(units), approximately(nominal_alpha(units)))
    for name in CLASSES:
        asked = [{who: str(label == name) for who, label in labels.items()} for labels in units]
        assert found[f"class:{name}"] == (len(units), approximately(nominal_alpha(asked)))


def test_nobody_to_agree_with(compiled: Settings) -> None:
    alpha = ("scope text, images bigint, alpha double precision", [])
    tables = {
        "int_annotator_pairs": (PAIRS, []),
        "int_annotator_alpha": alpha,
        "dim_defect_class": ("defect_class text", [("fine",)]),
    }
    (overall,) = rows_of(compiled, "label_agreement", tables)
    assert (overall.pop("scope"), overall.pop("pairs")) == ("overall", 0)
    assert set(overall.values()) == {None}
    del tables["int_annotator_alpha"]
    assert rows_of(compiled, "annotator_agreement", tables) == []


def test_agreement_of_a_plant(built: Settings) -> None:
    labels = primary_labels(built)
    pairs = pd.DataFrame(
        [
            (a, b, x, y)
            for given_ in labels.values()
            for (a, x), (b, y) in itertools.combinations(sorted(given_.items()), 2)
        ],
        columns=["a", "b", "x", "y"],
    )
    assert len(pairs) > 100
    names = ("scope", "pairs", "agreement_rate", "agreement_low", "agreement_high", "kappa", "alpha")
    found = {
        scope: rest for scope, *rest in query(built, f"select {', '.join(names)} from marts.label_agreement")
    }
    scopes = {"overall": pairs}
    for annotator in ("ann", "bob", "cid"):
        scopes[f"annotator:{annotator}"] = pairs[(pairs.a == annotator) | (pairs.b == annotator)]
    two = {"SURFACE_PIT", "SURFACE_SCRATCH"}
    scopes["pair:SURFACE_PIT/SURFACE_SCRATCH"] = pairs[pairs.x.isin(two) & pairs.y.isin(two)]
    for scope, part in scopes.items():
        # Nobody is the first annotator: each pair counts both ways round.
        kappa = cohen_kappa_score([*part.x, *part.y], [*part.y, *part.x])
        agreed = int((part.x == part.y).sum())
        bounds = proportion_confint(agreed, len(part), method="wilson")
        alpha = nominal_alpha(list(labels.values())) if scope == "overall" else None
        expected = [len(part), agreed / len(part), *bounds, kappa, alpha]
        assert found[scope] == [approximately(value) for value in expected]
    for defect_class in set(load_ontology(built.ontology_file).aliases.values()):
        x, y = pairs.x == defect_class, pairs.y == defect_class
        if (x | y).any():
            asked = [{a: str(said == defect_class) for a, said in each.items()} for each in labels.values()]
            kappa, alpha = cohen_kappa_score([*x, *y], [*y, *x]), nominal_alpha(asked)
            both, either = int((x & y).sum()), int((x | y).sum())
            bounds = proportion_confint(both, either, method="wilson")
            expected = [either, both / either, *bounds, kappa, alpha]
            assert found[f"class:{defect_class}"] == [approximately(value) for value in expected]


def test_annotators_of_a_plant_by_pair(built: Settings) -> None:
    judged = defaultdict(list)
    for given_ in primary_labels(built).values():
        for (a, x), (b, y) in itertools.combinations(sorted(given_.items()), 2):
            judged[a, b].append((x, y))
    found = query(built, "select annotator_1, annotator_2, pairs, kappa from marts.annotator_agreement")
    assert {(a, b): (pairs, kappa) for a, b, pairs, kappa in found} == {
        names: (len(pairs), pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True))))
        for names, pairs in judged.items()
    }
    assert len(found) == 3


def primary_labels(built: Settings) -> dict[str, dict[str, str]]:
    """The label that each confident annotator gave each usable image."""
    ontology = load_ontology(built.ontology_file)
    order = [d.id for d in sorted(ontology.classes, key=lambda d: (d.clean, not d.safety_critical))]
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for image, annotator, defect_class in query(
        built,
        "select image_id, annotator_id, defect_class from marts.fct_annotations where confidence >= 3"
        " and image_id not in (select source_key from marts.quarantined_rows)",
    ):
        said[image][annotator].append(defect_class)
    assert max(Counter(len(people) for people in said.values())) == 3
    return {
        image: {who: min(labels, key=order.index) for who, labels in people.items()}
        for image, people in said.items()
    }
