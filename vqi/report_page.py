"""Finds the test report of a model and writes its page to a file."""

from __future__ import annotations

from pathlib import Path

from inspection.errors import RegistryError
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import ObjectStore

FOLDER = "reports"


def find_report(settings: Settings, store: ObjectStore, model: str | None) -> str:
    """Returns the id of a model's `EvaluationReport`; without a model that of the newest evaluation.

    Args:
        settings: name the Dagster instance.
        store: holds models and reports.
        model: id of a bundle or of a report, or the beginning of it.

    Raises:
        RegistryError: no model or report, or several, begin like that.
        StoreError: no report of the model is known.
    """
    from inspection.learning.report.of_bundle import list_reports, report_of
    from vqi.materialize import newest_record

    if model is None:
        return newest_record(settings, "test_report")
    found = [report for report in list_reports(store) if model and report.startswith(model)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RegistryError(f"{len(found)} reports begin with {model!r}: give more of the id")
    return report_of(store, ModelRegistry(store).find(model))


def write_page(settings: Settings, store: ObjectStore, report_id: str, path: Path | None = None) -> Path:
    """Writes the page of a report and returns where; without a path to ``reports/`` of the home."""
    from inspection.learning.report.of_bundle import page_of

    target = path or settings.root / FOLDER / f"{report_id[:12]}.html"
    page = page_of(store, report_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(page)
    return target
