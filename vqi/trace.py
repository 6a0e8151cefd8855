"""From a part back to what judged it: verdicts, bundle, training run, data, split release."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg2.extras import RealDictCursor
from pydantic import BaseModel, ConfigDict, field_validator

from inspection.artifacts import get_record
from inspection.bundle import read_manifest
from inspection.errors import BundleError, InsufficientDataError, SettingsError, StoreError
from inspection.registry import Decision, ModelRegistry
from inspection.settings import Settings
from inspection.store import ObjectStore
from inspection.warehouse import transaction
from serving.records import STEPS

PAGE = 100  # of materializations, newest first

_VERDICTS = """
select
    p.inspection_id::text as inspection_id, p.role, p.predicted_at, p.captured_at, p.image_id, p.image_sha256,
    p.camera_id, p.station_id, p.production_order_id, p.prediction, p.defects, p.overall_confidence,
    p.recommended_action, p.route_reason, p.routed_to, p.camera_fault, p.thresholds, p.confidence_threshold,
    p.ontology_version, p.timings_ms, p.model_version,
    coalesce(
        jsonb_agg(to_jsonb(r) - 'stored_at' order by r.reviewed_at) filter (where r.review_id is not null),
        '[]'
    ) as reviews
from inference.predictions as p
left join inference.reviews as r on r.inspection_id = p.inspection_id and p.role = 'production'
where p.part_serial = %s
group by p.inspection_id, p.role
order by p.predicted_at, p.role
"""
_SPLIT = """
select
    r.release_id, r.as_of, r.policy, r.window_days, r.created_at,
    (
        select jsonb_object_agg(split, images)
        from (
            select split, count(*) as images from releases.split_assignments
            where release_id = r.release_id group by split
        ) as sides
    ) as images
from releases.split_releases as r
where r.release_id = %s
"""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class TracedVerdict(_Record):
    """One verdict on the part; the fields are the columns of ``inference.predictions``.

    Attributes:
        reviews: what people decided, oldest first.
    """

    inspection_id: str
    role: str
    predicted_at: datetime
    captured_at: datetime | None
    image_id: str | None
    image_sha256: str | None
    camera_id: str | None
    station_id: str | None
    production_order_id: str | None
    prediction: str | None
    defects: list[dict[str, Any]]
    overall_confidence: float | None
    recommended_action: str
    route_reason: str | None
    routed_to: str | None
    camera_fault: str | None
    thresholds: dict[str, float] | None
    confidence_threshold: float | None
    ontology_version: str
    timings_ms: dict[str, float] | None
    model_version: str
    reviews: list[dict[str, Any]]

    @field_validator("timings_ms")
    @classmethod
    def _in_order(cls, timings: dict[str, float] | None) -> dict[str, float] | None:
        """Orders the steps as they follow each other; those of another version come last."""
        if timings is None:
            return None
        known = {step: timings[step] for step in STEPS if step in timings}
        return known | timings


class TracedSplit(_Record):
    """A split release; `images` counts them by side."""

    release_id: str
    as_of: datetime
    policy: str
    window_days: int
    created_at: datetime
    images: dict[str, int] | None


class TracedModel(_Record):
    """What a model was made from; what cannot be told is None, with the reason in `unknown`.

    Attributes:
        decisions: of the audit log about this model, oldest first.
        report: id of the `EvaluationReport` by which it was judged; likewise `training`, a `TrainingResult`.
        run: of Dagster, in which it was trained.
        split: as this warehouse knows it.
    """

    id: str
    decisions: list[Decision]
    created_at: datetime | None = None
    architecture: str | None = None
    profile: str | None = None
    seed: int | None = None
    code_revision: str | None = None
    ontology: str | None = None
    gate: str | None = None
    report: str | None = None
    training: str | None = None
    run: str | None = None
    data_fingerprint: str | None = None
    split_release: str | None = None
    split: TracedSplit | None = None
    unknown: list[str] = []


class Trace(_Record):
    """A part with its verdicts, oldest first, and the models that gave them."""

    part_serial: str
    verdicts: list[TracedVerdict]
    models: dict[str, TracedModel]


def trace(settings: Settings, registry: ModelRegistry, part_serial: str) -> Trace:
    """Follows a part back.

    Raises:
        InsufficientDataError: there is no verdict on such a part.
    """
    with transaction(settings.dsn("warehouse")) as warehouse:
        rows = _rows(warehouse, _VERDICTS, part_serial)
    if not rows:
        raise InsufficientDataError(
            f"the warehouse has no verdict on a part {part_serial!r}: check the serial; one that was given "
            "just now, or while the warehouse was away, comes with the service's outbox"
        )
    verdicts = [TracedVerdict.model_validate(row) for row in rows]
    names = dict.fromkeys(verdict.model_version for verdict in verdicts)
    models = {name: _model(settings, registry, name) for name in names}
    return Trace(part_serial=part_serial, verdicts=verdicts, models=models)


def _model(settings: Settings, registry: ModelRegistry, name: str) -> TracedModel:
    decisions = [decision for decision in registry.history() if decision.model == name]
    unknown: list[str] = []
    try:
        manifest = read_manifest(registry.store, name)
    except BundleError as error:
        return TracedModel(id=name, decisions=decisions, unknown=[str(error)])
    with transaction(settings.dsn("warehouse")) as warehouse:
        splits = _rows(warehouse, _SPLIT, manifest.split_release)
    if not splits:
        unknown.append(f"this warehouse has no split release {manifest.split_release[:12]}")
    report, training, run = _training(settings, registry.store, name, unknown)
    return TracedModel(
        id=name,
        decisions=decisions,
        created_at=manifest.created_at,
        architecture=manifest.architecture,
        profile=manifest.profile,
        seed=manifest.seed,
        code_revision=manifest.code_revision,
        ontology=f"{manifest.ontology.ontology} {manifest.ontology.version}",
        gate=manifest.gate.get("verdict"),
        report=report,
        training=training,
        run=run,
        data_fingerprint=manifest.data_fingerprint,
        split_release=manifest.split_release,
        split=TracedSplit.model_validate(splits[0]) if splits else None,
        unknown=unknown,
    )


def _training(
    settings: Settings, store: ObjectStore, model: str, unknown: list[str]
) -> tuple[str | None, str | None, str | None]:
    """Returns the ids of report, training and run; notes what cannot be told."""
    from sqlalchemy.exc import SQLAlchemyError

    from inspection.learning.report.of_bundle import report_of
    from inspection.learning.results import EvaluationReport

    report = training = run = None
    try:
        report = report_of(store, model)
        training = get_record(store, EvaluationReport, report).training
        run = run_of(settings, "trained_model", training)
    except (StoreError, SettingsError) as error:
        unknown.append(str(error))
    except SQLAlchemyError as error:
        unknown.append(f"Dagster's database does not answer: {str(error).splitlines()[0]}")
    else:
        if run is None:
            unknown.append(f"Dagster has no run that made the training {training[:12]}")
    return report, training, run


def run_of(settings: Settings, asset: str, record: str) -> str | None:
    """Returns the newest Dagster run in which an asset told a record (see `resources.records`), or None."""
    from dagster import AssetKey

    from resources.records import RECORD
    from vqi.dagster_home import instance

    cursor: str | None = None
    with instance(settings) as home:
        while True:
            found = home.fetch_materializations(AssetKey(asset), limit=PAGE, cursor=cursor)
            for event in found.records:
                made = event.asset_materialization
                if made and RECORD in made.metadata and made.metadata[RECORD].value == record:
                    return event.run_id
            if not found.has_more:
                return None
            cursor = found.cursor


def _rows(warehouse: Any, query: str, value: str) -> list[dict[str, Any]]:  # noqa: ANN401
    with warehouse.connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(query, (value,))
        return [dict(row) for row in cursor.fetchall()]
