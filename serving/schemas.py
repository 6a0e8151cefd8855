"""What the API takes and answers. `serving.records` holds what is written down."""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID, uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.json_schema import SkipJsonSchema

from inspection.camera_health import CameraFault, Standing
from inspection.judgement import Action, Prediction
from inspection.verdict import RouteReason
from serving.records import Decision, DefectRecord, PredictionRecord, ReviewRecord, timestamp


def _pattern(control: str) -> str:
    """Returns the pattern of a text with something in it beside the blanks around it."""
    blanks = r"[^\S\x80-\x9f]*"  # not U+0085, on which regular expressions are not of one mind
    return rf"^{blanks}[^\s{control}]([^{control}]*[^\s{control}])?{blanks}$"


# No control characters: they have no place in a name, and PostgreSQL takes no NUL.
_NAME, _TEXT = _pattern(r"\x00-\x1f\x7f-\x9f"), _pattern(r"\x00-\x08\x0b-\x1f\x7f-\x9f")
# Blanks are taken off last: what the schema tells of a text then holds for it as it was sent.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_NAME), AfterValidator(str.strip)]
Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=_TEXT), AfterValidator(str.strip)]
Absent = SkipJsonSchema[None]  # of what stands in a query or a header: they have no null
Moment = Annotated[AwareDatetime, PlainSerializer(timestamp, when_used="json")]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())


class PartMetadata(_Request):
    """What a camera tells beside the image."""

    inspection_id: UUID = Field(default_factory=uuid4)
    image_id: Name
    camera_id: Name
    part_serial: Name | None = None
    part_type: Name | None = None
    production_order_id: Name | None = None
    captured_at: AwareDatetime | None = None


class PartQuery(_Request):
    """The same in the query; in a multipart request it may stand in the body's fields instead."""

    inspection_id: UUID | Absent = None
    image_id: Name | Absent = Field(None, description="Required, here or as a field of the body.")
    camera_id: Name | Absent = Field(None, description="Required, here or as a field of the body.")
    part_serial: Name | Absent = None
    part_type: Name | Absent = None
    production_order_id: Name | Absent = None
    captured_at: AwareDatetime | Absent = Field(None, description="With a UTC offset.")


class InspectionAnswer(_Answer):
    """The verdict on a part."""

    inspection_id: UUID
    image_id: str
    part_serial: str | None
    prediction: Prediction | None
    defects: tuple[DefectRecord, ...]
    overall_confidence: float | None
    inference_time_ms: float
    recommended_action: Action
    route_reason: RouteReason | None
    camera_fault: CameraFault | None
    routed_to: str
    model_version: str
    ontology_version: str
    camera_id: str
    timestamp: Moment

    @classmethod
    def of(cls, record: PredictionRecord) -> Self:
        """Tells a record."""
        return cls(**_shared(cls, record), timestamp=record.predicted_at)


class InspectionDetail(InspectionAnswer):
    """A verdict with what it rests on and what people said of it.

    Attributes:
        blind: what the model said is withheld, until a person has decided.
    """

    blind: bool = False
    part_type: str | None
    captured_at: Moment | None
    probabilities: dict[str, float]
    auto_action: Action | None
    review_probability: float
    image_sha256: str
    production_order_id: str | None
    station_id: str | None
    thresholds: dict[str, float]
    confidence_threshold: float | None
    image_quality: dict[str, float]
    timings_ms: dict[str, float]
    reviews: tuple[ReviewRecord, ...]

    @classmethod
    def told(cls, record: PredictionRecord, reviews: list[ReviewRecord]) -> Self:
        """Tells a record and its reviews."""
        return cls(**_shared(cls, record), timestamp=record.predicted_at, reviews=tuple(reviews))

    def blinded(self) -> Self:
        """Withholds what the model said."""
        return self.model_copy(update=_WITHHELD | {"probabilities": {}, "auto_action": None})


class QueueEntry(InspectionAnswer):
    """A part that waits for a person.

    Attributes:
        line_id: where its camera stands by the calibration files, or ``unknown``.
        blind: what the model said is withheld, because knowing it would sway the audit.
        image_kept: whether the image can be fetched.
    """

    line_id: str
    blind: bool = False
    image_kept: bool

    @classmethod
    def waiting(cls, record: PredictionRecord, line_id: str, *, image_kept: bool) -> Self:
        """Tells a record, of an audited part without the model's verdict."""
        entry = cls(
            **_shared(cls, record), timestamp=record.predicted_at, line_id=line_id, image_kept=image_kept
        )
        return entry.model_copy(update=_WITHHELD) if record.route_reason is RouteReason.AUDIT else entry


class QueueAnswer(_Answer):
    """The parts that wait for a person, oldest first.

    Attributes:
        next_cursor: asks for the page after this one; null on the last.
    """

    waiting: tuple[QueueEntry, ...]
    next_cursor: str | None


class PartView(_Answer):
    """One picture of a part.

    Attributes:
        recommended_action: what the line was told.
        decision: of the last person who looked; null if none has.
        action: what counts, a person's decision before the line's.
    """

    inspection_id: UUID
    image_id: str
    camera_id: str
    timestamp: Moment
    recommended_action: Action
    route_reason: RouteReason | None
    decision: Decision | None
    action: Action


class PartAnswer(_Answer):
    """The verdict on a part that several cameras may have seen: the worst of what they say.

    Attributes:
        inspections: of the part's newest visit to the cameras, oldest first.
    """

    part_serial: str
    action: Action
    routed_to: str
    inspections: tuple[PartView, ...]


class ReviewRequest(_Request):
    """A person's decision, agreeing or overriding.

    Attributes:
        defect_class: id or alias of a class of the ontology; what the person saw.
    """

    inspector_id: Name
    decision: Decision
    defect_class: Name | None = None
    comment: Text | None = None


class ReviewAnswer(ReviewRecord):
    """A review as it was written down.

    Attributes:
        overrides: whether it disagrees with the model; null where no model judged.
    """

    overrides: bool | None


class CamerasAnswer(_Answer):
    """The cameras that have sent parts."""

    cameras: tuple[Standing, ...]


class CameraForgotten(_Answer):
    """A camera that learns again.

    Attributes:
        references: that it had, one for each part type.
    """

    camera_id: str
    references: int


class DecisionRequest(_Request):
    """Why a decision about a model is taken."""

    reason: Text


class ModelAnswer(_Answer):
    """A model in the object store.

    Attributes:
        status: what it does now.
        problem: why it cannot serve; null where nothing is known against it.
    """

    id: str
    status: str
    created_at: Moment | None
    architecture: str | None
    ontology_version: str | None
    classes: tuple[str, ...]
    gate: dict[str, Any]
    problem: str | None


class ModelsAnswer(_Answer):
    """The models and what is in force.

    Attributes:
        serving: the model that judges in this process.
        production: the model that should, as the registry says.
    """

    serving: str | None
    production: str | None
    shadow: str | None
    auto_pass_paused: bool
    models: tuple[ModelAnswer, ...]


_WITHHELD: dict[str, Any] = {"blind": True, "prediction": None, "defects": (), "overall_confidence": None}


def _shared(answer: type[BaseModel], record: PredictionRecord) -> dict[str, Any]:
    names = answer.model_fields.keys() & PredictionRecord.model_fields.keys()
    return {name: getattr(record, name) for name in names}
