"""Checks on labels and on the split: what must hold before anything is learnt from them."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from assets.tables import table
from assets.training_gate import failed_label_tests
from inspection.label_quality import Agreement, load_limits, measure_agreement
from inspection.leakage import Leak, find_leaks
from inspection.settings import get_settings
from inspection.training_gate import count_images, label_faults, unknown_labels

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
    rows = count_images(settings.dsn("warehouse"))
    return dg.AssetCheckResult(
        passed=rows >= minimum,
        description=f"{rows} images, the profile {settings.profile} wants {minimum}",
        metadata={"value": rows, "threshold": minimum},
    )


@dg.asset_check(
    asset=TRAINING_DATASET,
    blocking=True,
    description="Every label is a class of the ontology in force.",
)
def known_labels() -> dg.AssetCheckResult:
    """Looks for labels of classes that the ontology has no longer, or never had."""
    found = unknown_labels(get_settings().dsn("warehouse"))
    rows = [{"label": label, "images": images} for label, images in found.items()]
    return dg.AssetCheckResult(
        passed=not found,
        description=f"not in the ontology in force: {', '.join(found)}" if found else "all labels are known",
        metadata={"value": len(found), "threshold": 0, **({"labels": table(rows)} if found else {})},
    )


@dg.asset_check(
    asset=TRAINING_DATASET,
    blocking=True,
    description=(
        "The labels agree as they must before training, and no test of the label models failed the last "
        "time it ran. Both belong to the label job, which is a run of its own and stops nothing here."
    ),
)
def labels_ready(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Holds again, in the run that trains, what the runs that label have found."""
    settings = get_settings()
    limits = load_limits(settings.label_limits_file)
    faults = [
        *label_faults(settings.dsn("warehouse"), limits, settings.profile),
        *failed_label_tests(context.instance),
    ]
    told = "; ".join(f"{fault.check}: {fault.evidence}" for fault in faults)
    return dg.AssetCheckResult(
        passed=not faults,
        description=told or "no objection from the label job",
        metadata={"objections": table(map(vars, faults))} if faults else {},
    )


@dg.multi_asset_check(
    name="agreement",
    specs=[
        dg.AssetCheckSpec(f"agreement_{kind}", asset=LABEL_AGREEMENT, description=description)
        for kind, description in AGREEMENT.items()
    ],
)
def agreement() -> Iterator[dg.AssetCheckResult]:
    """Holds the agreement of annotators against the limits; `labels_ready` lets it stop training."""
    settings = get_settings()
    limits = load_limits(settings.label_limits_file).agreement
    found = measure_agreement(settings.dsn("warehouse"), limits, settings.profile)
    for kind in AGREEMENT:
        yield agreement_result(kind, [each for each in found if each.kind == kind])


label_checks = [leakage, enough_rows, known_labels, labels_ready, agreement]


def leak_result(
    leak: Leak, asset: dg.AssetKey = TRAINING_DATASET, pictures: Mapping[str, dg.MetadataValue] | None = None
) -> dg.AssetCheckResult:
    """Returns what a leakage check says; one that does not apply says so, and does not stop anything."""
    not_applicable = leak.status == "not applicable"
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=leak.name,
        passed=leak.status != "failed",
        severity=dg.AssetCheckSeverity.WARN if not_applicable else dg.AssetCheckSeverity.ERROR,
        description=f"not applicable: {leak.evidence}" if not_applicable else leak.evidence,
        metadata={
            "status": leak.status,
            **({"evidence": table(leak.rows)} if leak.rows else {}),
            **(pictures or {}),
        },
    )


def agreement_result(kind: str, found: Sequence[Agreement]) -> dg.AssetCheckResult:
    """Returns what the check of one kind says of its scopes, with the worst of them as its value.

    It is an error where what failed stops training, and a warning otherwise.
    """
    measured = [each for each in found if each.rate is not None]
    worst = min(measured, key=lambda each: (each.rate or 0) - each.limit, default=None)
    stops = any(each.stops_training for each in found if each.status == "failed")
    rows = ({**vars(each), "status": each.status} for each in found)
    return dg.AssetCheckResult(
        asset_key=LABEL_AGREEMENT,
        check_name=f"agreement_{kind}",
        passed=all(each.status != "failed" for each in found),
        severity=dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN,
        description=(
            f"{worst.scope}: {worst.rate:.1%} of {worst.pairs} pairs, above {worst.limit:.0%} wanted"
            if worst
            else "not applicable: no two annotators judged the same part"
        ),
        metadata={
            "status": worst.status if worst else "not applicable",
            **({"value": worst.rate, "threshold": worst.limit} if worst else {}),
            **({"scopes": table(rows)} if found else {}),
        },
    )
