"""Whether training may begin: all that must stop it, measured in the warehouse as it is now.

A check that failed in one run stops nothing in another by itself. Whoever trains asks here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspection.errors import CheckFailedError
from inspection.image_files import find_file_leak
from inspection.label_quality import LabelLimits, measure_agreement
from inspection.leakage import find_leaks
from inspection.warehouse import transaction

# Of the ontology in force, whatever dbt has built since it was published.
_UNKNOWN_LABELS = """
    select label, count(distinct image_id)
    from (
        select image_id, label from marts.training_dataset
        union all
        select image_id, unnest(labels) from marts.training_dataset
    ) as given
    where label not in (select defect_class from staging.stg_ontology_classes)
    group by label
    order by label
"""


@dataclass(frozen=True)
class Fault:
    """Something that must stop training.

    Attributes:
        check: name of the asset check that says so.
        evidence: what it found, in one line.
    """

    check: str
    evidence: str


def unknown_labels(dsn: str) -> dict[str, int]:
    """Returns the labels of the training set that the ontology in force lacks, with their images.

    Args:
        dsn: libpq URI of the warehouse.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(_UNKNOWN_LABELS)
        return dict(warehouse.fetchall())


def count_images(dsn: str) -> int:
    """Returns how many images the training set has, all sides together."""
    with transaction(dsn) as warehouse:
        warehouse.execute("select count(*) from marts.training_dataset")
        ((images,),) = warehouse.fetchall()
        return int(images)


def label_faults(dsn: str, limits: LabelLimits, profile: str) -> tuple[Fault, ...]:
    """Finds the scopes in which too little agreement of annotators stops training.

    Args:
        dsn: libpq URI of the warehouse, with the label marts built.
        limits: what the labels are held to.
        profile: of the model that would be trained.
    """
    return tuple(
        Fault(f"agreement_{found.kind}", f"{found.scope}: {found.rate:.1%}, above {found.limit:.0%} wanted")
        for found in measure_agreement(dsn, limits.agreement, profile)
        if found.status == "failed" and found.stops_training
    )


def find_faults(dsn: str, limits: LabelLimits, profile: str) -> tuple[Fault, ...]:
    """Finds all that must stop training: of the labels, and of the training set made from them.

    Args:
        dsn: libpq URI of the warehouse, with the training set built.
        limits: what the labels are held to.
        profile: of the model that would be trained.
    """
    faults = [*label_faults(dsn, limits, profile)]
    leaks = (*find_leaks(dsn), find_file_leak(dsn))
    faults += [Fault(leak.name, leak.evidence) for leak in leaks if leak.status == "failed"]
    if unknown := unknown_labels(dsn):
        faults.append(Fault("known_labels", f"not in the ontology in force: {', '.join(unknown)}"))
    images, minimum = count_images(dsn), limits.minimum_rows.get(profile, 0)
    if images < minimum:
        faults.append(Fault("enough_rows", f"{images} images, the profile {profile} wants {minimum}"))
    return tuple(faults)


def refuse_training(faults: Sequence[Fault]) -> None:
    """Stops a training that would learn from what must not be learnt from.

    Raises:
        CheckFailedError: there is a fault.
    """
    if faults:
        told = "; ".join(f"{fault.check} ({fault.evidence})" for fault in faults)
        raise CheckFailedError(
            f"no training on these labels: {told}; mend the labels and run the label job again",
            tuple(dict.fromkeys(fault.check for fault in faults)),
        )
