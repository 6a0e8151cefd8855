"""The one way from a part's image to its verdict, whichever route it came by."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from uuid import UUID

from inspection.camera_health import CameraFault, CameraHealth
from inspection.errors import DuplicateError
from inspection.gauge.gauge import combined
from inspection.gauge.reading import Measurements
from inspection.heatmap import Activations
from inspection.image_quality import ImageQuality, measure_quality
from inspection.imaging import load_frame, to_tensor
from inspection.judgement import Action, judge
from inspection.runtime import Array
from inspection.settings import Settings
from inspection.verdict import RouteReason, RoutingRules, Verdict, audit_draw, decide, unjudged
from serving import metrics
from serving.kept import KeptImages
from serving.models import LiveModel, ModelFollower
from serving.outbox import Outbox
from serving.records import DefectRecord, PredictionRecord, Role


@dataclass(frozen=True)
class Part:
    """One image of one part, as a camera sent it.

    Attributes:
        received: `time.perf_counter` when the last byte had come.
    """

    inspection_id: UUID
    image: bytes
    image_id: str
    camera_id: str
    part_serial: str | None
    part_type: str | None
    production_order_id: str | None
    captured_at: datetime | None
    received: float

    @cached_property
    def image_sha256(self) -> str:
        """SHA-256 of the image, in hexadecimal."""
        return hashlib.sha256(self.image).hexdigest()


@dataclass(frozen=True)
class Seen:
    """A verdict and how the picture was; None where nobody looked at it."""

    verdict: Verdict
    quality: ImageQuality | None = None
    fault: CameraFault | None = None
    activations: Activations | None = None


class Stopwatch:
    """Milliseconds of each step since `start`, by name; `clock` gives seconds."""

    def __init__(self, start: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.laps: dict[str, float] = {}
        self._start = self._last = start
        self._clock = clock

    def skip(self) -> None:
        """Leaves out the time since the last step."""
        now = self._clock()
        self._start += now - self._last
        self._last = now

    def lap(self, step: str) -> None:
        """Ends a step."""
        now = self._clock()
        self.laps[step] = round(1000 * (now - self._last), 3)
        self._last = now

    @property
    def total(self) -> float:
        """Milliseconds up to the end of the last step."""
        return round(1000 * (self._last - self._start), 1)


class Inspector:
    """Judges parts; its methods block, and may be called from several threads."""

    def __init__(
        self,
        models: ModelFollower,
        outbox: Outbox,
        kept: KeptImages,
        settings: Settings,
        audit_secret: bytes,
        cameras: metrics.CameraLines,
        health: CameraHealth,
    ) -> None:
        self._models = models
        self._outbox = outbox
        self._kept = kept
        self._settings = settings
        self._audit_secret = audit_secret
        self._cameras = cameras
        self._health = health

    def inspect(self, part: Part, crowded: Callable[[], bool]) -> PredictionRecord:
        """Returns the verdict on a part; it is in the outbox when this returns.

        An inspection that was answered before gets the same answer again.

        Args:
            part: is judged.
            crowded: tells whether other parts are in work or wait for it.

        Raises:
            ImageError: the bytes are no usable image.
            DuplicateError: the inspection was answered before, for another image.
            OverloadError: no model is in production.
            OutboxError: the verdict cannot be written down.
        """
        watch = Stopwatch(part.received)
        watch.lap("wait")
        if (earlier := self._outbox.find(part.inspection_id)) is not None:
            self._keep(_same_image(earlier, part), part)
            return earlier
        model = self._models.current
        watch.lap("look_up")
        return self._store(part, model, self._judge(part, model, watch, crowded), watch)

    def give_up(self, part: Part) -> PredictionRecord:
        """Returns the verdict on a part whose deadline has passed: a person looks at it.

        Should `inspect` have come to its end meanwhile, its verdict stands.

        Raises:
            DuplicateError: the inspection was answered before, for another image.
            OverloadError: no model is in production.
            OutboxError: the verdict cannot be written down.
        """
        watch = Stopwatch(part.received)
        watch.lap("wait")
        seen = Seen(unjudged(RouteReason.DEADLINE))
        return self._store(part, self._models.current, seen, watch)

    def _judge(self, part: Part, model: LiveModel, watch: Stopwatch, crowded: Callable[[], bool]) -> Seen:
        preprocessing = model.manifest.preprocessing
        frame = load_frame(part.image, preprocessing)
        watch.lap("decode")
        quality = measure_quality(frame.pixels)
        fault = self._health.check(
            (part.camera_id, part.part_type),
            part.part_serial or part.image_id,
            part.image_sha256,
            quality,
            part_found=frame.part_found,
        )
        watch.lap("camera")
        tensor = to_tensor(frame.pixels[None], preprocessing)
        watch.lap("normalise")
        probabilities, maps = model.network.run(tensor, crowded=crowded())
        watch.lap("infer")
        judged, measurements = second_opinion(part, model, probabilities)
        watch.lap("gauge")
        judgement = judge(judged[0], maps[0], model.manifest, frame, measurements)
        rules = RoutingRules(
            confidence_threshold=self._settings.confidence_threshold,
            audit_share=self._settings.audit_share,
            auto_pass_paused=self._models.auto_pass_paused,
            outbox_full=self._outbox.full,
        )
        draw = audit_draw(str(part.inspection_id), self._audit_secret)
        verdict = decide(judgement, rules, fault=fault, draw=draw)
        watch.lap("decide")
        return Seen(verdict, quality, fault, Activations(model.manifest.classes, maps[0], frame.window))

    def _store(self, part: Part, model: LiveModel, seen: Seen, watch: Stopwatch) -> PredictionRecord:
        record = to_record(part, model, seen, watch, self._settings)
        standing = self._outbox.add(record)
        watch.lap("store")
        if self._keep(_same_image(standing, part), part, seen.activations):
            watch.lap("keep")
        if standing is record:  # and not an earlier answer
            metrics.count(record, watch.laps, self._cameras)
        return standing

    def _keep(self, record: PredictionRecord, part: Part, activations: Activations | None = None) -> bool:
        """Keeps the image for who must decide; a repeated request may bring one that was not kept."""
        return (
            record.recommended_action is Action.HUMAN_INSPECTION
            and self._outbox.waits_for_person(part.inspection_id)
            and self._kept.keep(part.inspection_id, part.image, activations)
        )


def to_record(
    part: Part,
    model: LiveModel,
    seen: Seen,
    watch: Stopwatch,
    settings: Settings,
    role: Role = "production",
) -> PredictionRecord:
    """Returns what is written down of a verdict."""
    verdict = seen.verdict
    return PredictionRecord(
        inspection_id=part.inspection_id,
        role=role,
        image_id=part.image_id,
        part_serial=part.part_serial,
        part_type=part.part_type,
        camera_id=part.camera_id,
        model_version=model.id,
        ontology_version=model.manifest.ontology.version,
        prediction=verdict.prediction,
        defects=tuple(map(DefectRecord.of, verdict.defects)),
        probabilities=verdict.probabilities,
        overall_confidence=verdict.overall_confidence,
        inference_time_ms=watch.total,
        timings_ms=watch.laps,
        recommended_action=verdict.recommended_action,
        auto_action=verdict.auto_action,
        route_reason=verdict.route_reason,
        review_probability=verdict.review_probability,
        routed_to=verdict.routed_to,
        image_sha256=part.image_sha256,
        captured_at=part.captured_at,
        predicted_at=datetime.now(UTC),
        production_order_id=part.production_order_id,
        station_id=settings.station_id,
        thresholds=model.manifest.thresholds,
        confidence_threshold=settings.confidence_threshold,
        image_quality=asdict(seen.quality) if seen.quality else {},
        camera_fault=seen.fault,
    )


def second_opinion(part: Part, model: LiveModel, probabilities: Array) -> tuple[Array, Measurements]:
    """Lets the gauge speak for the classes that it measures, where the model has one and it applies.

    Raises:
        ImageError: as `measure`.
    """
    if model.gauge is None:
        return probabilities, {}
    reading = model.gauge.read(part.image, part.part_type, part.camera_id)
    judged = combined(probabilities, model.manifest.classes, [reading], model.gauge.fit)
    return judged, model.gauge.fit.measurements(reading)


def _same_image(record: PredictionRecord, part: Part) -> PredictionRecord:
    if record.image_sha256 != part.image_sha256:
        raise DuplicateError(
            f"inspection {record.inspection_id} was answered for another image: use a new Idempotency-Key"
        )
    return record
