"""What the Dagster UI shows of a report."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import numpy as np

from assets.evaluation import report_metadata
from inspection.artifacts import get_record, put_record
from inspection.bootstrap import Estimate
from inspection.comparison import compare_verdicts
from inspection.learning.report.details import BaselineScore, RivalResult, make_details
from inspection.learning.results import EvaluationReport
from inspection.metrics import Rate
from inspection.store import LocalStore
from tests.inspection.judged import put_report
from tests.inspection.learning.report.test_details import judged
from tests.inspection.learning.toy import sample


def put(store: LocalStore) -> str:
    """Stores a report of 80 parts, of which line l2 lets the defective ones pass."""
    samples = [sample(f"i{n}", ("DENT",) if n % 2 else (), line_id=f"l{n // 40 + 1}") for n in range(80)]
    p = [(0.9 if n % 2 and n < 40 else 0.1, 0.0) for n in range(80)]
    verdicts = compare_verdicts(np.array([True, False]), np.array([True, True]))
    baseline = BaselineScore(
        name="dice",
        description="throws dice",
        images=80,
        macro_auroc=0.51239,
        ours_macro=0.9,
        defective_auroc=Estimate(value=None, low=None, high=None, count=80),
        ours_defective=Estimate(value=0.9, low=0.8, high=1.0, count=80),
    )
    rival = RivalResult(bundle="b" * 64, verdicts=verdicts, reason=None)
    details = make_details(
        judged(samples, p), Rate.of(0, 0), 0.8, None, "nobody knows", rival, [baseline], []
    )
    report = get_record(store, EvaluationReport, put_report(store))
    return put_record(store, report.model_copy(update={"details": put_record(store, details)}))


def test_slices_baselines_comparison_and_page_are_shown(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    report = put(store)

    shown = report_metadata(store, report)

    slices = [dict(record.data) for record in shown["slices"].records]
    lines = {row["value"]: row for row in slices if row["by"] == "line"}
    assert lines["l1"]["missed"] == "0.000 (0/20)"
    assert lines["l2"]["missed"] == "1.000 (20/20)"
    assert {row["differs"] for row in lines.values()} == {"missed"}
    (baseline,) = (dict(record.data) for record in shown["baselines"].records)
    assert baseline == {
        "model": "dice",
        "macro_auroc": 0.5124,
        "ours_macro": 0.9,
        "defective_auroc": None,
        "ours_defective": 0.9,
        "images": 80,
    }
    assert shown["against production"]["verdicts"]["second_only"] == 1
    assert shown["cap by wrong labels"] == "nobody knows"
    assert shown["page"].startswith(f"{store.url}/reports/")
    assert shown["open the page"] == f"vqi report {report[:12]}"
    dg.MaterializeResult(value=report, metadata=shown)  # Dagster takes all of it
