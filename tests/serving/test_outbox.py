"""What has been answered is on disk, once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from inspection.judgement import Action, Prediction
from inspection.verdict import RouteReason
from serving.outbox import FRONT, Outbox
from serving.records import DefectRecord, PredictionRecord, ReviewRecord


def prediction(number: int = 0, **changes: object) -> PredictionRecord:
    values: dict[str, object] = {
        "inspection_id": uuid.UUID(int=number),
        "image_id": f"img-{number}",
        "part_serial": None,
        "part_type": None,
        "camera_id": "cam-1",
        "model_version": "m" * 64,
        "ontology_version": "1.0.0",
        "prediction": Prediction.PASS,
        "defects": (),
        "probabilities": {"ANY": 0.1},
        "overall_confidence": 0.9,
        "inference_time_ms": 12.5,
        "timings_ms": {"decode": 3.2},
        "recommended_action": Action.ACCEPT,
        "auto_action": Action.ACCEPT,
        "route_reason": None,
        "review_probability": 0.05,
        "routed_to": "next_station",
        "image_sha256": "0" * 64,
        "captured_at": None,
        "predicted_at": datetime.now(UTC),
    }
    return PredictionRecord.model_validate(values | changes)


def for_person(number: int, **changes: object) -> PredictionRecord:
    routed = {"recommended_action": Action.HUMAN_INSPECTION, "route_reason": RouteReason.LOW_CONFIDENCE}
    return prediction(number, **routed | changes)


def queued(outbox: Outbox, limit: int = 10, **options: object) -> list[int]:
    return [record.inspection_id.int for _, record in outbox.queue(limit, **options)]  # type: ignore[arg-type]


def review(number: int, inspection: int) -> ReviewRecord:
    return ReviewRecord(
        review_id=uuid.UUID(int=number),
        inspection_id=uuid.UUID(int=inspection),
        image_id="img",
        inspector_id="anna",
        decision="PASS",
        defect_class=None,
        comment=None,
        key_name="station-1",
        reviewed_at=datetime.now(UTC),
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "outbox.sqlite")
    yield opened
    opened.close()


def test_the_first_verdict_stands(outbox: Outbox) -> None:
    first, second = prediction(1), prediction(1, image_id="another")
    assert outbox.add(first) is first
    assert outbox.add(second) == first
    assert outbox.find(first.inspection_id) == first
    assert outbox.count_unsent() == 1


def test_each_role_has_its_own_verdict(outbox: Outbox) -> None:
    outbox.add(prediction(1, role="shadow", image_id="shadow's"))
    assert outbox.find(uuid.UUID(int=1)) is None
    outbox.add(prediction(1))
    found = outbox.find(uuid.UUID(int=1))
    assert found is not None
    assert found.image_id == "img-1"


def test_what_is_written_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    first = Outbox(path)
    first.add(prediction(1))
    again = Outbox(path)  # while the first still holds the file, as after a crash of the machine
    assert again.find(uuid.UUID(int=1)) is not None
    assert again._file.db.execute("pragma synchronous").fetchone() == (2,)  # full
    assert again._file.db.execute("pragma journal_mode").fetchone() == ("wal",)
    first.close()
    again.close()


def test_the_queue_holds_what_people_must_decide(outbox: Outbox) -> None:
    assert queued(outbox) == []
    for record in (prediction(1), for_person(2), for_person(3), for_person(4)):
        outbox.add(record)
    assert queued(outbox) == [2, 3, 4]
    assert queued(outbox, limit=2) == [2, 3]
    assert [outbox.waits_for_person(uuid.UUID(int=number)) for number in range(1, 6)] == [
        False, True, True, True, False,
    ]  # fmt: skip

    outbox.add_review(review(1, inspection=3))
    assert queued(outbox) == [2, 4]
    assert not outbox.waits_for_person(uuid.UUID(int=3))
    assert [found.inspector_id for found in outbox.reviews(uuid.UUID(int=3))] == ["anna"]


def test_the_queue_in_pages(outbox: Outbox) -> None:
    for number in range(7):
        outbox.add(for_person(number))
    place, pages = FRONT, []
    while page := outbox.queue(3, place):
        pages.append([record.inspection_id.int for _, record in page])
        place = page[-1][0]
        outbox.add_review(review(len(pages), inspection=pages[-1][0]))  # decided between two pages
    assert pages == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_queue_of_some_cameras_and_reasons(outbox: Outbox) -> None:
    for number, (camera, reason) in enumerate(
        product(["a", "b"], [RouteReason.LOW_CONFIDENCE, RouteReason.AUDIT])
    ):
        outbox.add(for_person(number, camera_id=camera, route_reason=reason))
    assert queued(outbox, cameras=["b"]) == [2, 3]
    assert queued(outbox, cameras=["a", "b"]) == [0, 1, 2, 3]
    assert queued(outbox, cameras=[]) == []
    assert queued(outbox, reason=RouteReason.AUDIT) == [1, 3]
    assert queued(outbox, cameras=["a"], reason=RouteReason.AUDIT) == [1]


def test_urgent_parts_come_first_and_audits_tell_nothing(outbox: Outbox) -> None:
    box = {"x": 0, "y": 0, "width": 1, "height": 1}

    def told(name: str) -> DefectRecord:
        values = {"class": name, "confidence": 0.7, "severity": "minor", "bounding_box": box}
        return DefectRecord.model_validate(values | {"area_percentage": 1})

    outbox.add(for_person(0))
    outbox.add(for_person(1, defects=(told("BURR"),)))
    outbox.add(for_person(2, defects=(told("BURR"), told("CRACK"))))
    outbox.add(for_person(3, defects=(told("CRACK"),), route_reason=RouteReason.AUDIT))
    outbox.add(for_person(4, defects=(told("CRACK"),)))
    outbox.add(for_person(5))
    assert queued(outbox, urgent=["CRACK", "OTHER"]) == [2, 4, 0, 1, 3, 5]
    (_, _), (place, _) = outbox.queue(2, urgent=["CRACK"])
    assert queued(outbox, urgent=["CRACK"], after=place) == [0, 1, 3, 5]


def test_the_verdicts_on_a_part(outbox: Outbox) -> None:
    for number in range(6):
        outbox.add(prediction(number, part_serial="SN-1" if number % 2 else "SN-2"))
    outbox.add(prediction(1, part_serial="SN-1", role="shadow"))
    assert [record.inspection_id.int for record in outbox.of_part("SN-1", 9)] == [1, 3, 5]
    assert [record.inspection_id.int for record in outbox.of_part("SN-1", 2)] == [3, 5]
    assert outbox.of_part("SN-3", 9) == []


def test_a_review_sent_twice_is_one(outbox: Outbox) -> None:
    first = outbox.add_review(review(1, inspection=1))
    assert outbox.add_review(review(1, inspection=1)) == first
    assert len(outbox.reviews(uuid.UUID(int=1))) == 1


def test_sent_and_refused_leave_the_rest(outbox: Outbox) -> None:
    for number in range(4):
        outbox.add(prediction(number))
    unsent = outbox.unsent("predictions", limit=3)
    assert len(unsent) == 3

    outbox.mark_sent("predictions", [unsent[0].sequence, unsent[2].sequence])
    outbox.mark_refused("predictions", unsent[1].sequence, "no such thing")

    left = outbox.unsent("predictions", limit=3)
    assert [PredictionRecord.model_validate_json(entry.record).inspection_id.int for entry in left] == [3]
    assert outbox.count_unsent() == 1
    assert outbox.find(uuid.UUID(int=0)) is not None  # what was sent can still be looked up
