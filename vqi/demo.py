"""The whole line on one machine: plant, labels, model, gate, a person's decision, service, people, alerts."""

from __future__ import annotations

import getpass
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from inspection.artifacts import get_record
from inspection.bundle import BundleManifest, read_manifest
from inspection.errors import CheckFailedError, InspectionError, SettingsError
from inspection.registry import Decision, ModelRegistry
from inspection.settings import Settings, get_settings
from inspection.simulation.line import LinePart, run_line
from inspection.simulation.line_report import LineReport
from inspection.store import open_store
from inspection.tls import trust
from resources.dbt import build_docs
from vqi import demo_report, import_report
from vqi.console import progress_bars
from vqi.demo_report import DemoReport, rows
from vqi.demo_source import DemoSource
from vqi.filling import bar, fill_imported, fill_simulated
from vqi.materialize import check_states, materialize, newest_record, run_job
from vqi.programs import ensure_started, stop_all
from vqi.report_page import write_page
from vqi.supervisor import wait_until

REPORT = "demo_report.json"
GATE = ("deployment_gate",)
RATE = 12.0
"""Parts per second that the cameras of the replay show; eight cameras, a part each two thirds of a second."""
INSPECTOR = "demo-inspector"


def run_demo(source: DemoSource, console: Console) -> DemoReport:
    """Runs everything on the embedded services, prints the report, and writes it as JSON.

    Args:
        source: what fills the plant.
        console: where the page goes.

    Raises:
        InspectionError: a stage did not do its part.
    """
    if get_settings().has_keys:
        raise SettingsError("the demo holds no API key: give it a VQI_HOME of its own, and no VQI_API_KEYS")
    demo = _Demo(source, console)
    demo.fill()
    demo.label()
    demo.learn()
    demo.decide()
    demo.serve()
    demo.review()
    demo.watch()
    report = demo.report()
    (get_settings().root / REPORT).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    demo_report.render(report, console)
    return report


class _Demo:
    """The stages, each of which uses what those before it left."""

    def __init__(self, source: DemoSource, console: Console) -> None:
        self.source, self.console = source, console
        self.begun, self.begun_at = time.monotonic(), datetime.now(UTC)
        self.stage_seconds: dict[str, float] = {}
        self.bundle: str
        self.page: Path
        self.decision: Decision
        self.replay: LineReport
        self.reviews: list[dict[str, Any]] = []

    @property
    def settings(self) -> Settings:
        """As they are now: filling the plant leaves some of its own."""
        return get_settings()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a stage and shows its progress."""
        begun = time.monotonic()
        self.console.print(f"[bold]{name}[/]")
        with progress_bars():
            yield
        self.stage_seconds[name] = round(time.monotonic() - begun, 1)
        self.console.print(f"  done in {self.stage_seconds[name]:.0f} s")

    def fill(self) -> None:
        """Starts the database and fills the plant."""
        with self.stage("plant"):
            # What an earlier demo left running would label and train beside this one.
            stop_all(self.settings)
            ensure_started(self.settings, "postgres")
            source = self.source
            if source.format_name is None:
                fill_simulated(self.settings, images=source.images, difficulty=source.difficulty)
                return
            done = fill_imported(
                self.settings, source.format_name, source.folder, source.options, ontology=source.ontology
            )
        for line in import_report.lines(done):
            self.console.print(f"  {line}", markup=False)

    def label(self) -> None:
        """Ingests and labels, as the schedules do."""
        with self.stage("ingestion and labels"):
            run_job(self.settings, "calibration")
            run_job(self.settings, "reconciliation")  # the plant that a home held before is gone
            run_job(self.settings, "ingest_and_label")
            run_job(self.settings, "profile")

    def learn(self) -> None:
        """Trains and judges a model; that the gate is closed ends the run, and not the demo."""
        with self.stage("training, evaluation, gate"):
            try:
                run_job(self.settings, "training")
            except CheckFailedError as error:
                if error.checks != GATE:
                    raise
            self.bundle = newest_record(self.settings, "model_bundle")
            report = newest_record(self.settings, "test_report")
            self.page = write_page(self.settings, self.registry.store, report)

    def decide(self) -> None:
        """Approves the model by hand, whatever the gate says, and says so."""
        verdict = self.manifest.gate["verdict"]
        reason = f"first trial of the demo; the gate says {verdict}"
        self.decision = self.registry.approve(self.bundle, actor=getpass.getuser(), reason=reason)
        self.console.print(f"[bold]gate: {verdict}[/]")
        self.console.print(f"  vqi approve {self.bundle[:12]} --reason '{reason}'")

    def serve(self) -> None:
        """Starts the service and shows it the held-out parts, one after the other."""
        with self.stage("service"):
            ensure_started(self.settings)
            wait_until(self._serves, 60, "the service does not take over the model: see its log")
        with self.stage("replay of held-out parts"):
            parts = held_out(self.settings)
            self.replay = run_line(self.url, parts, rate=RATE, verify=self.trust, progress=bar("inspect"))
        if self.replay.answered < len(parts):
            raise InspectionError(f"{self.replay.to_human} of {len(parts)} parts got no answer: see the log")

    def review(self) -> None:
        """Lets an inspector decide on the parts that were sent to people, as the annotators had done."""
        client = httpx.Client(base_url=self.url, timeout=30, verify=self.trust)
        with self.stage("people review"), client:
            truth = truths(self.settings)
            waiting = client.get("/api/v1/queue", params={"limit": 1000}).raise_for_status().json()["waiting"]
            for part in waiting:
                if part["image_id"] in truth:
                    self.reviews.append(_review(client, part, truth[part["image_id"]]))
            ids = [answer.inspection_id for answer in self.replay.answers]
            wait_until(lambda: _stored(self.settings, ids) == len(ids), 60, "predictions do not arrive")
            wait_until(self._reviews_stored, 60, "reviews do not arrive in the warehouse")

    def watch(self) -> None:
        """Builds the quality marts, evaluates the alerts, and counts the images that could not be read."""
        with self.stage("monitoring and docs"):
            run_job(self.settings, "monitoring")
            materialize(self.settings, "key:marts/quarantined_rows")
            build_docs(self.settings)

    def report(self) -> DemoReport:
        """Gathers what the stages have left."""
        from inspection.learning.results import EvaluationReport, ExportResult, TrainingResult

        warehouse, store = self.settings.dsn("warehouse"), self.registry.store
        found = get_record(store, EvaluationReport, newest_record(self.settings, "test_report"))
        export = get_record(store, ExportResult, found.export)
        training = get_record(store, TrainingResult, found.training)
        rates = {name: rate.model_dump() for name, rate in found.metrics.rates.items()}
        for name, of_class in found.metrics.per_class.items():
            rates |= {f"{name} precision": of_class.precision.model_dump()}
            rates |= {f"{name} recall": of_class.recall.model_dump()}
        return DemoReport(
            source=self.source.text,
            seconds=round(time.monotonic() - self.begun, 1),
            stage_seconds=self.stage_seconds,
            source_rows=demo_report.source_counts(
                {name: self.settings.dsn(name) for name in ("quality_vision", "qms", "erp")}
            ),
            rows=demo_report.table_counts(warehouse),
            quarantined=demo_report.quarantined(warehouse),
            label_agreement=rows(
                warehouse,
                "select scope, pairs, agreement_rate, kappa from marts.label_agreement order by scope",
            ),
            split=demo_report.split_summary(warehouse),
            checks=check_states(self.settings),
            training={
                "epochs": len(training.history),
                "best_epoch": training.best_epoch,
                "seconds": round(training.seconds, 1),
                "images": training.images,
                "history": [epoch.model_dump() for epoch in training.history],
            },
            test=rates,
            gate=self.manifest.gate,
            decision=self.decision.model_dump(mode="json", include={"action", "actor", "reason", "at"}),
            parity=export.parity.model_dump(),
            bundle_id=self.bundle,
            serving=_served(self.replay),
            reviews={
                "reviews": len(self.reviews),
                "overrides": sum(bool(answer["overrides"]) for answer in self.reviews),
            },
            alerts=rows(
                warehouse,
                """
                select rule, scope, severity, value, threshold, action, message,
                       cleared_at is not null as cleared
                from monitoring.alerts where cleared_at is null or fired_at >= %s order by fired_at
                """,
                self.begun_at,
            ),
            look_next=_look_next(self.settings, self.page),
        )

    @property
    def registry(self) -> ModelRegistry:
        """The models and the audit log."""
        return ModelRegistry(open_store(self.settings.artifacts_url))

    @property
    def manifest(self) -> BundleManifest:
        """What the demo's bundle says."""
        return read_manifest(self.registry.store, self.bundle)

    @property
    def url(self) -> str:
        """Of the service."""
        return self.settings.service_url

    @property
    def trust(self) -> ssl.SSLContext | bool:
        """How the service's certificate is checked."""
        return trust(self.settings.tls_certificate)

    def _serves(self) -> bool:
        answer = httpx.get(f"{self.url}/api/v1/models", timeout=10, verify=self.trust).raise_for_status()
        return bool(answer.json()["serving"] == self.bundle)

    def _reviews_stored(self) -> bool:
        wanted = [answer["review_id"] for answer in self.reviews]
        query = "select count(*) as n from inference.reviews where review_id::text = any(%s)"
        return bool(rows(self.settings.dsn("warehouse"), query, wanted)[0]["n"] == len(wanted))


def held_out(settings: Settings) -> list[LinePart]:
    """Returns the parts of the test set whose image can be read, in the order of capture."""
    found = rows(
        settings.dsn("warehouse"),
        """
        select t.image_id, t.image_path, t.camera_id, t.part_type, coalesce(i.part_serial, '') as part_serial
        from marts.training_dataset as t
        inner join intermediate.int_images as i using (image_id)
        left join features.unreadable_images as u using (image_id)
        where t.split = 'test' and u.image_id is null
        order by t.capture_timestamp, t.image_id
        """,
    )
    return [LinePart(**{**row, "image_path": settings.images / row["image_path"]}) for row in found]


def truths(settings: Settings) -> dict[str, str | None]:
    """Returns what the annotators found on each part of the test set; None for a clean part."""
    found = rows(
        settings.dsn("warehouse"),
        """
        select t.image_id, case when not d.clean then t.label end as defect_class
        from marts.training_dataset as t
        inner join marts.dim_defect_class as d on t.label = d.defect_class
        where t.split = 'test'
        """,
    )
    return {row["image_id"]: row["defect_class"] for row in found}


def _review(client: httpx.Client, part: Mapping[str, Any], defect_class: str | None) -> dict[str, Any]:
    decision = (
        {"decision": "PASS"} if defect_class is None else {"decision": "FAIL", "defect_class": defect_class}
    )
    answer = client.post(
        f"/api/v1/inspections/{part['inspection_id']}/review", json={"inspector_id": INSPECTOR, **decision}
    )
    return dict(answer.raise_for_status().json())


def _stored(settings: Settings, inspection_ids: Sequence[str]) -> int:
    query = """
        select count(*) as n from inference.predictions
        where role = 'production' and inspection_id::text = any(%s)
    """
    return int(rows(settings.dsn("warehouse"), query, list(inspection_ids))[0]["n"])


def _served(replay: LineReport) -> dict[str, Any]:
    figures = replay.figures()
    return {
        "sent": figures.parts,
        "answered": figures.answered,
        "to_human": figures.to_human,
        **figures.latency.model_dump(exclude={"max_ms"}),
        "actions": figures.actions,
        "route_reasons": figures.route_reasons,
    }


def _look_next(settings: Settings, page: Path) -> dict[str, str]:
    here = "http://127.0.0.1"
    return {
        "Dagster UI (lineage, runs, checks, plots)": f"{here}:{settings.dagster_port}",
        "service and its API page": settings.service_url,
        "dbt docs (every table and column)": f"{here}:{settings.docs_port}",
        "test report of the model, to read and print": str(page),
        "this page as JSON": str(settings.root / REPORT),
        "what runs": "vqi status",
        "more parts on the line": "vqi simulate line --rate 5 --seconds 60",
        "stop everything": "vqi down",
    }
