"""What a line did, for tests: predictions and reviews in the warehouse, and the marts over them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from inspection.warehouse import transaction

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

# The marts' columns as the alert rules read them. The test of the `alerts` asset builds the real ones.
_MARTS = """
drop schema if exists marts cascade;
create schema marts;
truncate inference.predictions, inference.reviews, monitoring.alerts;
create view marts.fct_predictions as
    select *, split_part(camera_id, '/', 1) as line_id from inference.predictions;
create view marts.fct_reviews as select * from inference.reviews;
create view marts.fct_overrides as
    select reviews.review_id as override_id, reviews.inspection_id, reviewed_at as override_timestamp
    from inference.reviews inner join inference.predictions using (inspection_id)
    where role = 'production' and (prediction = 'PASS') <> (decision = 'PASS');
create table marts.dim_defect_class (defect_class text, safety_critical boolean);
insert into marts.dim_defect_class values ('CRACK', true), ('BURR', false);
"""


def start_empty(dsn: str) -> None:
    """Forgets what the line did, and makes views that stand for the marts."""
    with transaction(dsn) as warehouse:
        warehouse.execute(_MARTS)


def inspect(
    dsn: str,
    count: int = 1,
    *,
    at: datetime,
    apart: timedelta = timedelta(),
    action: str = "ACCEPT",
    role: str = "production",
    camera: str = "A/1",
    confidence: float | None = 0.9,
    milliseconds: float = 60,
    review_probability: float | None = 1,
    model: str = "model",
    ids: Sequence[str] = (),
) -> list[str]:
    """Inserts `count` predictions, or one for each of `ids`, `apart` from each other; returns the ids."""
    ids = [*ids] or [str(uuid.uuid4()) for _ in range(count)]
    verdict = "FAIL" if action in ("REWORK", "SCRAP") else "PASS"
    defects = json.dumps(
        [{"class": "BURR", "confidence": 0.9, "severity": "minor"}] if verdict == "FAIL" else []
    )
    with transaction(dsn) as warehouse:
        for number, inspection_id in enumerate(ids):
            warehouse.execute(
                """
                insert into inference.predictions (
                    inspection_id, role, image_id, camera_id, model_version, ontology_version, prediction,
                    defects, overall_confidence, inference_time_ms, recommended_action, auto_action,
                    review_probability, predicted_at)
                values (%s, %s, 'image', %s, %s, '1', %s, %s, %s, %s, %s, %s, %s, %s)
                """,
                (
                    inspection_id, role, camera, model, verdict, defects, confidence, milliseconds,
                    action, action, review_probability, at + number * apart,
                ),
            )  # fmt: skip
    return ids


def review(
    dsn: str, ids: Sequence[str], decision: str, *, at: datetime, defect_class: str | None = None
) -> None:
    """Inserts a person's decision on each of these inspections."""
    with transaction(dsn) as warehouse:
        for inspection_id in ids:
            warehouse.execute(
                """
                insert into inference.reviews (
                    review_id, inspection_id, image_id, inspector_id, key_name, decision, defect_class,
                    reviewed_at)
                values (%s, %s, 'image', 'inspector-1', 'station-1', %s, %s, %s)
                """,
                (str(uuid.uuid4()), inspection_id, decision, defect_class, at),
            )
