"""Inspectors as appraisers: repeated and shared decisions, held against counting pairs one by one."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from inspection.settings import Settings
from tests.dbt.compiled import compile_models, rows_of
from tests.dbt.plant import FAR_AHEAD, START, RawPlant, dbt, query

Decision = tuple[str, str, bool]  # image, inspector, rejected
IMAGES = 80
PLANT_OF = {"PO-1": "p1", "PO-2": "p2"}


@pytest.fixture(scope="module")
def decided(module_settings: Settings) -> tuple[Settings, list[Decision], dict[str, bool]]:
    """A plant whose inspectors repeat decisions; with them and the images that are truly defective."""
    rng, plant = random.Random(3), RawPlant()
    decisions, defective = [], {}
    for order, where in PLANT_OF.items():
        plant.order(order, plant=where)
    for number in range(IMAGES):
        image, order = f"i{number}", f"PO-{number % 2 + 1}"
        plant.image(image, order)
        bad = rng.random() < 0.5
        if number % 4:  # the others have no annotation, and so no standard
            plant.annotation(image, "ann", "burr" if bad else "good")
            defective[image] = bad
        for n in range(rng.randint(0, 4)):
            who, rejected = f"insp-{order[-1]}-{rng.randint(1, 2)}", bad != (rng.random() < 0.2)
            verdict = rng.choice(["FAIL", "REWORK"]) if rejected else "PASS"
            plant.result(
                image, verdict, ["burr"] * rejected, inspector=who, at=START + timedelta(days=number, hours=n)
            )
            decisions.append((image, who, rejected))
    _spoilt(plant)
    plant.load(module_settings)
    dbt(module_settings, "run", "--select", "+inspector_agreement")
    dbt(module_settings, "test", "--select", "inspector_agreement", "--exclude", "test_type:unit")
    return module_settings, decisions, defective


def _spoilt(plant: RawPlant) -> None:
    """Rows that must not count: unknown words, clocks in the future, copies, disputes, lost images."""
    plant.image("disputed", "PO-1")
    plant.annotation("disputed", "ann", "burr")
    plant.annotation("disputed", "bob", "good")
    for who in ("insp-1-1", "insp-1-1", "insp-1-2"):
        plant.result("i1", "FAIL", ["kratzer"], inspector=who)
        plant.result("i1", "MAYBE", inspector=who)
        plant.result("i1", "PASS", inspector=who, at=FAR_AHEAD)
        plant.result("lost", "PASS", inspector=who)
        plant.result(None, "PASS", inspector=who)
    row = next(row for row in plant.rows["raw_qms.inspection_results"] if row[1] == "i1")
    plant.rows["raw_qms.inspection_results"].append(("copy", *row[1:]))


def test_a_plant(decided: tuple[Settings, list[Decision], dict[str, bool]]) -> None:
    settings, decisions, defective = decided
    names = [
        column
        for (column,) in query(
            settings,
            "select column_name from information_schema.columns"
            " where table_schema = 'marts' and table_name = 'inspector_agreement' order by ordinal_position",
        )
    ]
    found = {
        scope: dict(zip(names[1:], rest, strict=True))
        for scope, *rest in query(settings, "select * from marts.inspector_agreement")
    }
    inspectors = sorted({who for _, who, _ in decisions})
    assert len(inspectors) == 4
    assert set(found) == {"overall", "plant:p1", "plant:p2", *(f"inspector:{who}" for who in inspectors)}
    assert found["overall"] == study(decisions, defective)
    for order, where in PLANT_OF.items():
        own = [each for each in decisions if each[1].startswith(f"insp-{order[-1]}")]
        assert found[f"plant:{where}"] == study(own, defective)
    for who in inspectors:
        assert found[f"inspector:{who}"] == study(decisions, defective, who)


def study(decisions: list[Decision], defective: dict[str, bool], who: str | None = None) -> dict[str, Any]:
    """The columns of the mart: pairs and decisions one by one, of one inspector or of all."""
    by_image = defaultdict(list)
    for image, inspector, rejected in decisions:
        by_image[image].append((inspector, rejected))
    pairs = [pair for each in by_image.values() for pair in itertools.combinations(each, 2)]
    pairs = [pair for pair in pairs if who in (None, pair[0][0], pair[1][0])]
    within = [(one[1], other[1]) for one, other in pairs if one[0] == other[0]]
    between = [(one[1], other[1]) for one, other in pairs if one[0] != other[0]]
    judged = [
        (rejected, defective[image])
        for image, inspector, rejected in decisions
        if image in defective and who in (None, inspector)
    ]
    missed = [not rejected for rejected, bad in judged if bad]
    over = [rejected for rejected, bad in judged if not bad]
    one, other = zip(*between, strict=True)
    return {
        **rate("within_agreement", "within_pairs", [a == b for a, b in within]),
        **rate("between_agreement", "between_pairs", [a == b for a, b in between]),
        # Nobody is the first inspector: each pair counts both ways round.
        "between_kappa": pytest.approx(cohen_kappa_score([*one, *other], [*other, *one])),
        **rate("consensus_agreement", "consensus_decisions", [a == b for a, b in judged]),
        "consensus_kappa": pytest.approx(cohen_kappa_score(*zip(*judged, strict=True))),
        **rate("miss_rate", "defective_decisions", missed),
        **rate("over_reject_rate", "clean_decisions", over),
    }


def rate(name: str, count: str, cases: Iterable[bool]) -> dict[str, Any]:
    """A share with its count and Wilson bounds, as columns."""
    found = list(cases)
    low, high = proportion_confint(sum(found), len(found), method="wilson")
    expected = (sum(found) / len(found), low, high)
    columns = (name, f"{name}_low", f"{name}_high")
    return {
        **{column: pytest.approx(value, abs=1e-9) for column, value in zip(columns, expected, strict=True)},
        count: len(found),
    }


COUNTS = (
    "within_pairs",
    "between_pairs",
    "consensus_decisions",
    "defective_decisions",
    "clean_decisions",
)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        # image, inspector, plant, decisions, rejections, of others, rejections of others, defective
        ([], {}),
        ([("i", "a", "p", 1, 1, 0, 0, None)], {}),
        (
            [("i", "a", "p", 2, 2, 0, 0, True)],
            {
                "within_agreement": 1.0,
                "consensus_agreement": 1.0,
                "miss_rate": 0.0,
                "within_pairs": 1,
                "consensus_decisions": 2,
                "defective_decisions": 2,
            },
        ),
        (
            [("i", "a", "p", 1, 1, 1, 0, False), ("i", "b", "p", 1, 0, 1, 1, False)],
            {
                "between_agreement": 0.0,
                "between_kappa": -1.0,
                "between_pairs": 1,
                "consensus_agreement": 0.5,
                "over_reject_rate": 0.5,
                "consensus_kappa": 0.0,
                "consensus_decisions": 2,
                "clean_decisions": 2,
            },
        ),
        # A source that repeats one image a million times costs one row.
        (
            [("i", "a", "p", 10**6, 0, 0, 0, None)],
            {"within_agreement": 1.0, "within_pairs": 10**6 * (10**6 - 1) // 2},
        ),
    ],
)
def test_nothing_measured_is_no_rate(
    compiled: Settings, images: list[tuple[Any, ...]], expected: dict[str, float]
) -> None:
    columns = (
        "image_id text, inspector_id text, plant_id text, decisions bigint, rejections bigint,"
        " decisions_of_others numeric, rejections_of_others numeric"
    )
    standards = {row[0]: row[-1] for row in images if row[-1] is not None}
    labels = [(image, ["burr"] * bad, "consensus") for image, bad in standards.items()]
    tables = {
        "int_inspector_images": (columns, [row[:-1] for row in images]),
        "fct_image_labels": ("image_id text, labels text[], label_source text", labels),
    }
    rows = rows_of(compiled, "inspector_agreement", tables)
    (overall,) = [row for row in rows if row["scope"] == "overall"]
    told = {
        name: value
        for name, value in overall.items()
        if name != "scope" and not name.endswith(("_low", "_high")) and value is not None
    }
    assert told == {**dict.fromkeys(COUNTS, 0), **expected}


@pytest.fixture(scope="module")
def compiled(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    from tests.conftest import fresh_settings

    settings = fresh_settings(postgres, tmp_path_factory.mktemp("compiled"))
    compile_models(settings, "inspector_agreement")
    return settings
