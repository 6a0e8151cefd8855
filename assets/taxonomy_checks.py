"""Checks on the taxonomy: what differs from the plant's, what no class claims, and what moved when."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from inspection.ontology import normalise_label
from inspection.quarantine import FreedRows, UnmappedLabel, freed_rows, tell_moved, unmapped_labels
from inspection.settings import get_settings
from inspection.taxonomy_comparison import Difference, compare_taxonomies

ONTOLOGY = dg.AssetKey(["ontology"])
QMS_TAXONOMY = dg.AssetKey(["raw", "qms", "defect_taxonomy"])
UNMAPPED_LABELS = dg.AssetKey(["marts", "unmapped_labels"])
QUARANTINED_ROWS = dg.AssetKey(["marts", "quarantined_rows"])
WARN = dg.AssetCheckSeverity.WARN
SHOWN_LABELS = 50


@dg.asset_check(
    asset=ONTOLOGY,
    additional_deps=[QMS_TAXONOMY],
    description="The quality management system's taxonomy says what the published one says.",
)
def qms_taxonomy() -> dg.AssetCheckResult:
    """Warns of classes, names, parents and severity levels that differ."""
    return comparison_result(compare_taxonomies(get_settings().dsn("warehouse")))


@dg.asset_check(
    asset=UNMAPPED_LABELS,
    description="Every label in use is an alias of a class; for the others the table suggests the nearest.",
)
def all_labels_mapped() -> dg.AssetCheckResult:
    """Warns of labels that keep rows in quarantine."""
    return unmapped_result(unmapped_labels(get_settings().dsn("warehouse")))


@dg.asset_check(
    asset=QUARANTINED_ROWS,
    description="The rows that the newest publication of the taxonomy has a class for have left quarantine.",
)
def moved_from_quarantine() -> dg.AssetCheckResult:
    """Tells how many rows moved; warns of those that still wait."""
    return moved_result(freed_rows(get_settings().dsn("warehouse")))


taxonomy_checks = [qms_taxonomy, all_labels_mapped, moved_from_quarantine]


def comparison_result(found: Sequence[Difference] | None) -> dg.AssetCheckResult:
    """Returns what the comparison says; None is a plant whose system holds no taxonomy."""
    if found is None:
        return dg.AssetCheckResult(
            passed=True,
            severity=WARN,
            description="not applicable: the quality management system has no taxonomy",
            metadata={"status": "not applicable"},
        )
    classes = ", ".join(dict.fromkeys(each.defect_class for each in found))
    return dg.AssetCheckResult(
        passed=not found,
        severity=WARN,
        description=f"{len(found)} differences, in {classes}" if found else "no difference",
        metadata={"value": len(found), "threshold": 0, **_table("differences", map(vars, found))},
    )


def unmapped_result(found: Sequence[UnmappedLabel]) -> dg.AssetCheckResult:
    """Returns the labels that no class claims, the most frequent first."""
    rows = sum(each.occurrences for each in found)
    labels = len({normalise_label(each.raw_label) for each in found})
    return dg.AssetCheckResult(
        passed=not found,
        severity=WARN,
        description=(
            f"{labels} labels, used {rows:,} times, are no alias of a class: add them to the taxonomy and "
            "publish it, or let people type known ones"
            if found
            else "every label is an alias of a class"
        ),
        metadata={"value": labels, "threshold": 0, **_table("labels", map(vars, found[:SHOWN_LABELS]))},
    )


def moved_result(found: Sequence[FreedRows]) -> dg.AssetCheckResult:
    """Returns how many rows the newest publication has moved from quarantine."""
    moved, waiting = sum(each.moved for each in found), sum(each.waiting for each in found)
    return dg.AssetCheckResult(
        passed=not waiting,
        severity=WARN,
        description=tell_moved(found),
        metadata={"value": waiting, "threshold": 0, "moved": moved, **_table("rows", map(vars, found))},
    )


def _table(name: str, rows: Iterable[dict[str, Any]]) -> dict[str, dg.TableMetadataValue]:
    records = [dg.TableRecord(row) for row in rows]
    return {name: dg.MetadataValue.table(records)} if records else {}
