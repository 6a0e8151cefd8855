"""What the plants make and how people see it: shares, order, agreement."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import pytest

from inspection.errors import OntologyError
from inspection.ontology import DEFAULT_ONTOLOGY, DefectClass, Ontology, load_ontology
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.people import annotate, annotation_table, result_table
from inspection.simulation.production import ORDER_SIZES, Production, plan_production
from inspection.simulation.rendering import DIFFICULTIES
from inspection.simulation.view import Box
from inspection.simulation.vocabulary import CLASS_OF_KIND, KINDS, PLANTS, UNKNOWN_LABELS, vocabulary

AS_OF = datetime(2026, 11, 1, 13, 30, tzinfo=UTC)
MIDNIGHT_MS = datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def production() -> Production:
    return plan_production(np.random.default_rng(1), 2600, AS_OF, days=150)


def test_an_order_is_one_part_type_on_one_line_on_one_day(production: Production) -> None:
    orders = production.image_order
    sizes = np.bincount(orders)
    assert sizes[:-1].min() >= ORDER_SIZES[0]
    assert sizes.max() <= ORDER_SIZES[1]
    line = np.array([CAMERAS[c].line_id for c in production.camera])
    day = production.captured // DAY_MS
    for order in range(len(sizes)):
        assert len(set(line[orders == order])) == len(set(day[orders == order])) == 1
    assert (production.captured > production.order_start[orders]).all()
    assert (production.captured < production.order_end[orders]).all()


def test_all_lies_in_the_days_before(production: Production) -> None:
    assert production.captured.max() < MIDNIGHT_MS
    assert production.order_end.max() < MIDNIGHT_MS
    assert production.captured.min() >= MIDNIGHT_MS - 150 * DAY_MS


def test_defects_cameras_and_parts_are_spread_evenly_over_time(production: Production) -> None:
    newest = np.argsort(production.captured)[-390:]
    assert 0.30 <= production.kinds.any(axis=1).mean() <= 0.42
    crack = KINDS.index("crack")
    assert production.kinds[:, crack].mean() >= 0.07
    assert production.kinds[newest, crack].sum() > 25
    for values, count in (
        (production.camera, len(CAMERAS)),
        (production.order_part[production.image_order], len(PART_TYPES)),
    ):
        whole = np.bincount(values, minlength=count) / values.size
        late = np.bincount(values[newest], minlength=count) / newest.size
        assert np.abs(whole - late).max() <= 0.05
        assert whole.min() > 0.6 / count


def test_older_orders_have_no_images() -> None:
    plan = plan_production(np.random.default_rng(1), 100, AS_OF, days=30, older_orders=50)
    assert plan.image_order.min() == 50
    assert len(plan.order_ids) == len(set(plan.order_ids)) == len(plan.order_start)
    assert plan.order_end[:50].max() < MIDNIGHT_MS - 30 * DAY_MS + DAY_MS


def test_annotators_agree_as_people_do(production: Production) -> None:
    rng = np.random.default_rng(2)
    truth = {i: {kind: Box(100, 100, 40, 30) for kind in production.defects(i)} for i in range(2600)}
    marks = annotate(rng, production, truth, dict.fromkeys(range(2600), 3), (1024, 768))
    by_image: dict[int, dict[str, set[str]]] = {}
    for mark in marks:
        by_image.setdefault(mark.image, {}).setdefault(mark.annotator, set()).add(mark.kind)
        assert (mark.box is None) == (mark.kind == "")
        assert 1 <= mark.confidence <= 5
        assert mark.annotator.startswith(f"ann-{production.plant(mark.image)}")
    pairs = [(a, b) for people in by_image.values() for a, b in combinations(people.values(), 2)]
    assert 0.91 <= np.mean([a == b for a, b in pairs]) <= 0.95
    for kind, least in (("", 0.90), ("crack", 0.95)):
        either = [(kind in a, kind in b) for a, b in pairs if kind in a or kind in b]
        assert np.mean([a and b for a, b in either]) > least - 0.02
    confused = {frozenset(a ^ b) for a, b in pairs}
    assert frozenset({"scratch", "pit"}) in confused
    assert frozenset({"scratch", "crack"}) in confused


def test_inspectors_miss_and_reject_at_their_rates(production: Production) -> None:
    rng = np.random.default_rng(3)
    images = np.tile(np.arange(2600), 4)
    words = vocabulary(load_ontology(DEFAULT_ONTOLOGY))
    table = result_table(rng, production, images, 50, words)
    assert table.num_rows == 4 * 2600 + 50
    assert table["image_id"].null_count == 50
    single = production.kinds[images].sum(axis=1) == 1
    good = ~production.kinds[images].any(axis=1)
    passed = np.array(table["decision"].to_pylist())[: images.size] == "PASS"
    assert passed[single].mean() == pytest.approx(0.15, abs=0.02)
    assert (~passed[good]).mean() == pytest.approx(0.08, abs=0.015)
    codes = np.array(table["defect_codes"].to_pylist())[: images.size]
    assert ((codes == "{}") == passed).all()


def test_every_word_of_every_plant_finds_its_class(production: Production) -> None:
    ontology = load_ontology(DEFAULT_ONTOLOGY)
    words, rng = vocabulary(ontology), np.random.default_rng(4)
    for plant in PLANTS:
        for kind, class_id in (("", ontology.clean_class.id), *CLASS_OF_KIND.items()):
            typed = {words.typed(rng, plant, kind) for _ in range(40)}
            assert {ontology.resolve(word) for word in typed} == {class_id}
            assert ontology.resolve(words.code(plant, kind)) == class_id
    assert words.words["plant-1", "crack"] != words.words["plant-2", "crack"]
    assert [ontology.resolve(word) for word in UNKNOWN_LABELS] == [None] * len(UNKNOWN_LABELS)


def test_another_plants_ontology_is_refused_with_a_way_out() -> None:
    other = Ontology(
        ontology="steel",
        version="1",
        classes=(
            DefectClass(id="CLEAN", label="clean", clean=True),
            DefectClass(id="SCALE", label="scale", severity_levels=("minor",)),
        ),
    )
    with pytest.raises(OntologyError, match="vqi import"):
        vocabulary(other)


def test_no_annotations() -> None:
    plan = plan_production(np.random.default_rng(1), 60, AS_OF, days=30)
    rng = np.random.default_rng(1)
    table = annotation_table(rng, plan, [], vocabulary(load_ontology(DEFAULT_ONTOLOGY)))
    assert table.num_rows == 0
    assert sorted(DIFFICULTIES.values()) == list(DIFFICULTIES.values())
