"""What the service writes down: one record for each verdict and for each review.

Field by field the columns of ``inference.predictions`` and ``inference.reviews`` in the warehouse.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from inspection.camera_health import CameraFault
from inspection.gauge.reading import Measurement
from inspection.judgement import Action, Defect, Prediction
from inspection.verdict import RouteReason

Role = Literal["production", "shadow"]
Decision = Literal["PASS", "FAIL", "REWORK"]


STEPS = ("wait", "look_up", "decode", "camera", "normalise", "infer", "gauge", "decide", "store", "keep")
"""Of an inspection, in their order; the warehouse's JSON keeps none."""


def timestamp(moment: datetime) -> str:
    """Returns ISO 8601 in UTC with milliseconds, as the contract writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())


class BoxRecord(_Record):
    """A rectangle in pixels of the image as sent."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class MeasurementRecord(_Record):
    """The dimension that speaks for a defect, measured on the part's silhouette."""

    dimension: str
    measured_mm: float
    nominal_mm: float
    tolerance_mm: float
    repeatability_mm: float

    @classmethod
    def of(cls, measurement: Measurement) -> Self:
        """Makes the record of a measurement."""
        return cls(**{name: getattr(measurement, name) for name in cls.model_fields})


class DefectRecord(_Record):
    """A class that reached its threshold.

    Attributes:
        measurement: null for a defect that was seen and not measured.
    """

    defect_class: str = Field(alias="class")
    confidence: float = Field(ge=0, le=1)
    severity: str
    bounding_box: BoxRecord
    area_percentage: float = Field(gt=0, le=100)
    measurement: MeasurementRecord | None = None

    @classmethod
    def of(cls, defect: Defect) -> Self:
        """Makes the record of a defect."""
        return cls.model_validate(
            {
                "class": defect.defect_class,
                "confidence": defect.confidence,
                "severity": defect.severity,
                "bounding_box": defect.bounding_box._asdict(),
                "area_percentage": defect.area_percentage,
                "measurement": defect.measurement and MeasurementRecord.of(defect.measurement),
            }
        )


class PredictionRecord(_Record):
    """A verdict with all that it rests on.

    Attributes:
        timings_ms: milliseconds of each of `STEPS` that was taken before the record was written.
        thresholds: probability from which each class is reported.
        confidence_threshold: below it a person looks.
        image_quality: the fields of `inspection.image_quality.ImageQuality`; empty where none was measured.
        camera_fault: why the picture is not believed; null for a sound one.
    """

    inspection_id: UUID
    role: Role = "production"
    image_id: str
    part_serial: str | None
    part_type: str | None
    camera_id: str
    model_version: str
    ontology_version: str
    prediction: Prediction | None
    defects: tuple[DefectRecord, ...]
    probabilities: dict[str, float]
    overall_confidence: float | None
    inference_time_ms: float
    timings_ms: dict[str, float]
    recommended_action: Action
    auto_action: Action
    route_reason: RouteReason | None
    review_probability: float
    routed_to: str
    image_sha256: str
    # Records of an earlier version lack what follows.
    production_order_id: str | None = None
    station_id: str | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)
    confidence_threshold: float | None = None
    image_quality: dict[str, float] = Field(default_factory=dict)
    camera_fault: CameraFault | None = None
    captured_at: datetime | None
    predicted_at: datetime


class ReviewRecord(_Record):
    """A person's decision on a part.

    Attributes:
        inspector_id: who decided, by what the client says.
        key_name: of the API key that it came with, `guard.LOCAL` where none are set up; null in a record of
            an earlier version.
    """

    review_id: UUID
    inspection_id: UUID
    image_id: str | None
    inspector_id: str
    decision: Decision
    defect_class: str | None
    comment: str | None
    key_name: str | None = None
    reviewed_at: Annotated[AwareDatetime, PlainSerializer(timestamp, when_used="json")]
