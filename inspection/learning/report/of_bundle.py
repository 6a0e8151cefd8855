"""Which test report is a model's: kept outside of the bundle, as the same model may be judged again."""

from __future__ import annotations

from inspection.artifacts import get_file, get_record
from inspection.errors import StoreError
from inspection.learning.results import EvaluationReport
from inspection.store import ObjectStore

PREFIX = "reports/of"


def note_report(store: ObjectStore, bundle: str, report_id: str) -> None:
    """Notes the `EvaluationReport` by which a bundle was judged last."""
    store.put(f"{PREFIX}/{bundle}", report_id.encode())


def report_of(store: ObjectStore, bundle: str) -> str:
    """Returns the id of the `EvaluationReport` by which a bundle was judged last.

    Raises:
        StoreError: nothing is noted of this bundle.
    """
    try:
        return store.get(f"{PREFIX}/{bundle}").decode()
    except StoreError as error:
        raise StoreError(
            f"no test report of model {bundle[:12]} is known: it was packed before there were reports, or "
            "elsewhere; materialize test_report and model_bundle"
        ) from error


def page_of(store: ObjectStore, report_id: str) -> bytes:
    """Returns the HTML page of an `EvaluationReport`."""
    return get_file(store, get_record(store, EvaluationReport, report_id).page)


def list_reports(store: ObjectStore) -> list[str]:
    """Returns the ids of all `EvaluationReport` records."""
    folder = f"records/{EvaluationReport.__name__}/"
    return [key.removeprefix(folder).removesuffix(".json") for key in store.list(folder)]
