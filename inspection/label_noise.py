"""What wrong labels cap: defects that inspectors missed stand as clean parts in the test set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


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
