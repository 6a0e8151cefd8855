"""Tables of the test report, as the Dagster UI shows them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from inspection.metrics import Rate, TestMetrics
from inspection.slices import Slice

if TYPE_CHECKING:
    from inspection.learning.report.details import BaselineScore


def slice_table(slices: Sequence[Slice]) -> dg.TableMetadataValue:
    """Returns where the model is better or worse, as the Dagster UI shows it."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "by": one.by,
                    "value": one.value,
                    "images": one.images,
                    "missed": _counted(one.missed.rate),
                    "false alarms": _counted(one.false_alarms.rate),
                    "differs": " and ".join(
                        name
                        for name, found in (("missed", one.missed), ("false alarms", one.false_alarms))
                        if found.marked
                    ),
                }
            )
            for one in slices
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("by"),
                dg.TableColumn("value"),
                dg.TableColumn("images", "int"),
                dg.TableColumn("missed", description="of the defective parts"),
                dg.TableColumn("false alarms", description="of the good parts"),
                dg.TableColumn("differs", description="from the rest, by more than chance (Bonferroni)"),
            ]
        ),
    )


def baseline_table(baselines: "Sequence[BaselineScore]") -> dg.TableMetadataValue:
    """Returns the baselines beside the model, as the Dagster UI shows them."""
    names = ("macro_auroc", "ours_macro", "defective_auroc", "ours_defective")
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "model": one.name,
                    "macro_auroc": _rounded(one.macro_auroc),
                    "ours_macro": _rounded(one.ours_macro),
                    "defective_auroc": _rounded(one.defective_auroc.value),
                    "ours_defective": _rounded(one.ours_defective.value),
                    "images": one.images,
                }
            )
            for one in baselines
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("model"),
                *(dg.TableColumn(name, "float") for name in names),
                dg.TableColumn("images", "int"),
            ]
        ),
    )


def metric_table(metrics: TestMetrics) -> dg.TableMetadataValue:
    """Returns the rates with their bounds, as the Dagster UI shows them."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "metric": name,
                    "value": _rounded(r.value),
                    "low": _rounded(r.low),
                    "high": _rounded(r.high),
                    "hits": r.successes,
                    "of": r.total,
                }
            )
            for name, r in _named_rates(metrics)
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("metric"),
                dg.TableColumn("value", "float"),
                dg.TableColumn("low", "float", "two-sided 95 % Wilson bound"),
                dg.TableColumn("high", "float", "two-sided 95 % Wilson bound"),
                dg.TableColumn("hits", "int"),
                dg.TableColumn("of", "int"),
            ]
        ),
    )


def _named_rates(metrics: TestMetrics) -> Iterator[tuple[str, Rate]]:
    yield from ((name.replace("_", " "), rate) for name, rate in metrics.rates.items())
    for name, found in metrics.per_class.items():
        yield f"{name}: precision", found.precision
        yield f"{name}: recall", found.recall
        yield f"{name}: peak in the box", found.pointing


def _counted(rate: Rate) -> str:
    return "" if rate.value is None else f"{rate.value:.3f} ({rate.successes}/{rate.total})"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
