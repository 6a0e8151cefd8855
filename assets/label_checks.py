"""Checks on labels and on the split: what must hold before anything is learnt from them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from inspection.label_quality import Agreement, load_limits, measure_agreement
from inspection.leakage import Leak, find_leaks
from inspection.settings import get_settings
from inspection.warehouse import transaction

TRAINING_DATASET = dg.AssetKey(["marts", "training_dataset"])
LABEL_AGREEMENT = dg.AssetKey(["marts", "label_agreement"])

LEAKS = {
    "no_image_twice": "No image file stands in the training set twice.",
    "no_order_on_two_sides": "No production order is on two sides or in two folds.",
    "test_is_newest": "Every test image was taken after every other image.",
    "cameras_balanced": "Each camera has about the same share in training and in test.",
}
AGREEMENT = {
    "overall": "Pairs of annotators agree on the primary label.",
    "safety_critical": "They agree on each safety-critical class.",
    "clean": "They agree on which parts are clean.",
    "pairs": "They tell apart the pairs of classes that are easily mistaken.",
}


@dg.multi_asset_check(
    name="leakage",
    specs=[
        dg.AssetCheckSpec(name, asset=TRAINING_DATASET, blocking=True, description=description)
        for name, description in LEAKS.items()
    ],
)
def leakage() -> Iterator[dg.AssetCheckResult]:
    """Looks for ways in which training could have seen the test set; a leak stops what follows."""
    for leak in find_leaks(get_settings().dsn("warehouse")):
        yield leak_result(leak)


@dg.asset_check(asset=TRAINING_DATASET, blocking=True, description="There are enough images to learn from.")
def enough_rows() -> dg.AssetCheckResult:
    """Holds the size of the training set against the minimum of the model profile."""
    settings = get_settings()
    minimum = load_limits(settings.label_limits_file).minimum_rows.get(settings.profile, 0)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("select count(*) from marts.training_dataset")
        ((rows,),) = warehouse.fetchall()
    return dg.AssetCheckResult(
        passed=rows >= minimum,
        description=f"{rows} images, the profile {settings.profile} wants {minimum}",
        metadata={"value": rows, "threshold": minimum},
    )


@dg.multi_asset_check(
    name="agreement",
    specs=[
        dg.AssetCheckSpec(f"agreement_{kind}", asset=LABEL_AGREEMENT, description=description)
        for kind, description in AGREEMENT.items()
    ],
)
def agreement() -> Iterator[dg.AssetCheckResult]:
    """Holds the agreement of annotators against the limits; too little is a warning."""
    settings = get_settings()
    limits = load_limits(settings.label_limits_file).agreement
    found = measure_agreement(settings.dsn("warehouse"), limits)
    for kind in AGREEMENT:
        yield agreement_result(kind, [each for each in found if each.kind == kind])


label_checks = [leakage, enough_rows, agreement]


def leak_result(leak: Leak) -> dg.AssetCheckResult:
    """Returns what a leakage check says; one that does not apply says so, and does not stop anything."""
    not_applicable = leak.status == "not applicable"
    return dg.AssetCheckResult(
        asset_key=TRAINING_DATASET,
        check_name=leak.name,
        passed=leak.status != "failed",
        severity=dg.AssetCheckSeverity.WARN if not_applicable else dg.AssetCheckSeverity.ERROR,
        description=f"not applicable: {leak.evidence}" if not_applicable else leak.evidence,
        metadata={"status": leak.status, **({"evidence": _table(leak.rows)} if leak.rows else {})},
    )


def agreement_result(kind: str, found: Sequence[Agreement]) -> dg.AssetCheckResult:
    """Returns what the check of one kind says of its scopes, with the worst of them as its value."""
    measured = [each for each in found if each.rate is not None]
    worst = min(measured, key=lambda each: (each.rate or 0) - each.limit, default=None)
    rows = ({**vars(each), "status": each.status} for each in found)
    return dg.AssetCheckResult(
        asset_key=LABEL_AGREEMENT,
        check_name=f"agreement_{kind}",
        passed=all(each.status != "failed" for each in found),
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{worst.scope}: {worst.rate:.1%} of {worst.pairs} pairs, above {worst.limit:.0%} wanted"
            if worst
            else "not applicable: no two annotators judged the same part"
        ),
        metadata={
            "status": worst.status if worst else "not applicable",
            **({"value": worst.rate, "threshold": worst.limit} if worst else {}),
            **({"scopes": _table(rows)} if found else {}),
        },
    )


def _table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])
