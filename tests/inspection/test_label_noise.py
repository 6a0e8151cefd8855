"""What missed defects cap: by hand, and on a plant whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from inspection.label_noise import InspectorRates, cap_of, label_cap, read_inspector_rates
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.inspection.learning.toy import sample


def rates(miss: float, over_reject: float = 0.0) -> InspectorRates:
    return InspectorRates(miss_rate=miss, over_reject_rate=over_reject, defective=200, clean=300)


def test_by_hand() -> None:
    # 100 parts, 20 defective, 15 % missed, 5 % of the 80 good ones rejected: 17 + 4 = 21 are rejected.
    found = label_cap(rates(0.15, 0.05), 0.21, clean_rows=158, defects=60, clean_images=200)
    assert found is not None
    assert found.defective == pytest.approx(0.2)
    assert found.hidden_share == pytest.approx(3 / 79)
    assert found.hidden == pytest.approx(6)
    assert found.precision == pytest.approx(60 / 66)
    assert found.false_reject_rate == pytest.approx(6 / 200)


def test_a_simulated_plant_hides_as_many_as_estimated() -> None:
    rng = np.random.default_rng(1)
    defective = rng.random(400_000) < 0.12
    rejected = np.where(defective, rng.random(400_000) >= 0.145, rng.random(400_000) < 0.03)
    clean = ~rejected
    found = label_cap(rates(0.145, 0.03), float(rejected.mean()), int(clean.sum()), 1, int(clean.sum()))
    assert found is not None
    assert found.defective == pytest.approx(0.12, abs=0.003)
    assert found.hidden == pytest.approx(int((clean & defective).sum()), rel=0.03)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (label_cap(rates(0.0), 0.3, 100, 50, 100), (0.0, 1.0, 0.0)),  # nobody misses
        (label_cap(rates(0.2, 0.3), 0.1, 100, 50, 100), (0.0, 1.0, 0.0)),  # fewer rejected than by mistake
        (label_cap(rates(0.5), 0.3, 0, 50, 40), (0.0, 1.0, 0.0)),  # all labels are the annotators'
        (label_cap(rates(0.5), 0.3, 0, 0, 0), (0.0, None, None)),
    ],
)
def test_edges(found: object, expected: tuple[float, float | None, float | None]) -> None:
    assert (found.hidden, found.precision, found.false_reject_rate) == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("miss", "over_reject", "rejected"), [(0.6, 0.4, 0.3), (1.0, 0.1, 0.2), (0.1, 0.1, 1.0)]
)
def test_inspectors_that_decide_no_better_than_chance_tell_nothing(
    miss: float, over_reject: float, rejected: float
) -> None:
    assert label_cap(rates(miss, over_reject), rejected, 100, 50, 100) is None


def test_the_share_rejected_is_of_inspectors_labels_at_the_lines_mix() -> None:
    passed = [sample(f"p{n}", sample_weight=4.0, label_source="inspector") for n in range(10)]
    coded = [sample(f"c{n}", ("DENT",), label_source="code") for n in range(10)]
    annotated = [sample(f"a{n}", ("DENT", "RUST"), label_source="consensus") for n in range(5)]
    clean = [sample("k", label_source="consensus"), sample("u")]
    test = [*passed[:4], *coded[:3], *annotated[:2], *clean]

    found = cap_of(rates(0.15, 0.05), [*passed, *coded, *annotated, *clean], test)

    assert found == label_cap(rates(0.15, 0.05), 10 / 50, clean_rows=4, defects=3 + 4, clean_images=6)
    nobody = cap_of(rates(0.15, 0.05), annotated, annotated)
    assert nobody is not None
    assert (nobody.hidden, nobody.precision) == (0, 1)


def test_the_plants_own_rates_are_read(settings: Settings) -> None:
    dsn = settings.dsn("warehouse")
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            create schema marts;
            create table marts.inspector_agreement (
                scope text, miss_rate double precision, over_reject_rate double precision,
                defective_decisions bigint, clean_decisions bigint
            );
            insert into marts.inspector_agreement values
                ('plant:a', 0.5, 0.5, 10, 10), ('overall', null, 0.1, 0, 20)
            """
        )
    assert read_inspector_rates(dsn) is None
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            update marts.inspector_agreement set miss_rate = 0.145, defective_decisions = 40
            where scope = 'overall'
            """
        )
    assert read_inspector_rates(dsn) == InspectorRates(
        miss_rate=0.145, over_reject_rate=0.1, defective=40, clean=20
    )
