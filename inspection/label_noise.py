"""What wrong labels cap: defects that inspectors missed stand as clean parts in the test set."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from inspection.dataset import Sample
from inspection.warehouse import transaction

BY_INSPECTORS = ("inspector", "code")
"""Label sources where no annotator had a say: a decision to pass, and one to reject with a defect code."""


class InspectorRates(BaseModel):
    """How inspectors decide on parts whose truth the annotators know; ``marts.inspector_agreement``.

    Attributes:
        miss_rate: share of the decisions on defective parts that pass them; of `defective` decisions.
        over_reject_rate: share of the decisions on clean parts that reject them; of `clean` decisions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    miss_rate: float
    over_reject_rate: float
    defective: int
    clean: int


class LabelCap(BaseModel):
    """An estimate of what missed defects do to the test figures of a model without a fault.

    Attributes:
        rates: what it rests on.
        rejected: share of parts that inspectors reject, at the line's own mix.
        defective: share of parts that truly are defective.
        hidden_share: share of the parts passed by inspectors that are defective.
        clean_rows: test images that are clean by an inspector's word alone.
        hidden: so many of them are defective.
        precision: that a model which finds each defect, these too, would show at best; None without any
            defect in the test set.
        false_reject_rate: that it would show at least; None without a clean image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rates: InspectorRates
    rejected: float
    defective: float
    hidden_share: float
    clean_rows: int
    hidden: float
    precision: float | None
    false_reject_rate: float | None


def label_cap(
    rates: InspectorRates, rejected: float, clean_rows: int, defects: int, clean_images: int
) -> LabelCap | None:
    """Estimates how many clean labels hide a defect, and what a faultless model could show.

    With m the miss rate, f the over-reject rate and r the share that inspectors reject:
    d = (r - f) / (1 - m - f) are defective (Rogan and Gladen 1978), d m / (1 - r) of the passed parts are.
    It takes each label for one inspector's decision, and misses for equally likely on each defect.

    Args:
        rates: of the inspectors.
        rejected: r, at the line's own mix, 0 to 1.
        clean_rows: test images that are clean by an inspector's word.
        defects: decisions of a defect class that are right in the test set, over all classes.
        clean_images: all test images labelled clean.

    Returns:
        None where inspectors decide no better than chance (m + f >= 1) or reject all: nothing follows then.
    """
    misses, alarms = rates.miss_rate, rates.over_reject_rate
    if misses + alarms >= 1 or rejected >= 1:
        return None
    defective = min(max((rejected - alarms) / (1 - misses - alarms), 0.0), 1.0)
    share = min(defective * misses / (1 - rejected), 1.0)
    hidden = share * clean_rows
    return LabelCap(
        rates=rates,
        rejected=rejected,
        defective=defective,
        hidden_share=share,
        clean_rows=clean_rows,
        hidden=hidden,
        precision=defects / (defects + hidden) if defects else None,
        false_reject_rate=hidden / clean_images if clean_images else None,
    )


def read_inspector_rates(dsn: str) -> InspectorRates | None:
    """Reads how the plant's inspectors decide; None where nobody compared them with annotators.

    Args:
        dsn: libpq URI of the warehouse, with ``marts.inspector_agreement`` built.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            select miss_rate, over_reject_rate, defective_decisions, clean_decisions
            from marts.inspector_agreement
            where scope = 'overall' and miss_rate is not null and over_reject_rate is not null
            """
        )
        row = warehouse.fetchone()
    if row is None:
        return None
    misses, alarms, defective, clean = row
    return InspectorRates(miss_rate=misses, over_reject_rate=alarms, defective=defective, clean=clean)


def cap_of(rates: InspectorRates, labelled: Sequence[Sample], test: Sequence[Sample]) -> LabelCap | None:
    """Estimates the cap for a test set; see `label_cap`.

    Args:
        rates: of the inspectors.
        labelled: all samples of the dataset; those that inspectors alone judged tell what share they reject.
        test: its test side.
    """
    judged = [sample for sample in labelled if sample.label_source in BY_INSPECTORS]
    weight = sum(sample.sample_weight for sample in judged)
    rejected = sum(sample.sample_weight for sample in judged if sample.labels)
    return label_cap(
        rates,
        rejected=rejected / weight if weight else 0.0,
        clean_rows=sum(s.label_source in BY_INSPECTORS and not s.labels for s in test),
        defects=sum(len(s.labels) for s in test),
        clean_images=sum(not s.labels for s in test),
    )
