"""Cameras that are not believed, at the API."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inspection.camera_health import CameraLimits
from inspection.settings import Settings
from serving.station import open_station
from tests.serving.conftest import Client, connect
from tests.serving.examples import encode, picture
from tests.serving.test_api import assert_problem, predict

RELEARN = "/api/v1/cameras/cam-1/relearn"
BLACK = np.zeros((128, 128, 3), np.uint8)
SHARP = picture()
BLURRED = np.full_like(SHARP, 128) + SHARP // 64  # the chequer nearly gone


def unlike(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], number: int) -> bytes:
    """The bytes of a picture that a sensor gives only once."""
    changed = pixels.copy()
    changed[0, number % 128] = changed[0, number % 128] // 2
    return encode(changed)


@pytest.mark.parametrize(
    ("pixels", "fault"), [(BLACK, "black"), (BLACK + 255, "overexposed"), (BLACK + 90, "blurred")]
)
def test_a_picture_that_shows_nothing_goes_to_a_person(
    client: Client, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], fault: str
) -> None:
    told = predict(client, encode(pixels)).json()
    assert told["recommended_action"] == "HUMAN_INSPECTION"
    assert told["route_reason"] == "camera_health"
    assert told["camera_fault"] == fault
    assert told["prediction"]  # what the model says stands
    (queued,) = client("GET", "/api/v1/queue").json()["waiting"]
    assert queued["camera_fault"] == fault


def test_a_camera_that_stands_still_is_noticed(client: Client) -> None:
    assert predict(client).json()["camera_fault"] is None
    assert predict(client).json()["camera_fault"] is None  # the part again
    told = predict(client, part_serial="SN-2", image_id="img-2").json()
    assert (told["camera_fault"], told["route_reason"]) == ("repeated_image", "camera_health")


def test_what_is_normal_survives_a_restart_and_is_learnt_again_when_an_engineer_says_so(
    offline: Settings,
) -> None:
    settings = offline.model_copy(update={"camera_limits": CameraLimits(reference_parts=3)})
    for number in range(2):  # a service, and the next one
        station = open_station(settings)
        with connect(station) as client:
            for part in range(3 * (1 - number)):
                serial = f"SN-{part}"
                assert predict(client, unlike(SHARP, part), part_serial=serial).json()["camera_fault"] is None
            told = predict(client, unlike(BLURRED, number), part_serial=f"SN-{10 + number}").json()
            assert told["camera_fault"] == "blurred", number
        station.close()

    station = open_station(settings)
    with connect(station) as client:
        (camera,) = client("GET", "/api/v1/cameras").json()["cameras"]
        assert camera["reference"]["sharpness"] > 100
        assert (camera["camera_id"], camera["part_type"], camera["learnt"]) == ("cam-1", "shaft", 3)
        answer = client("POST", RELEARN, json={"reason": "a softer lens"})
        assert answer.json() == {"camera_id": "cam-1", "references": 1}
        told = predict(client, unlike(BLURRED, 9), part_serial="SN-20").json()
        assert told["camera_fault"] is None
        assert_problem(client("POST", RELEARN.replace("cam-1", "cam-9"), json={"reason": "x"}), 404, "cam-9")
    station.close()
    assert json.loads((settings.root / "cameras.json").read_text()) == []


def test_a_camera_that_stands_still_is_noticed_after_a_restart(offline: Settings) -> None:
    for serial, fault in (("SN-1", None), ("SN-2", "repeated_image")):  # a service, and the next one
        station = open_station(offline)
        with connect(station) as client:
            assert predict(client, part_serial=serial).json()["camera_fault"] == fault
        station.close()


def test_a_camera_that_drifts_is_noticed_after_a_restart(offline: Settings) -> None:
    limits = CameraLimits(reference_parts=2, recent_parts=2)
    settings = offline.model_copy(update={"camera_limits": limits})
    faint = SHARP // 2  # a quarter of the variance
    pictures = [unlike(pixels, number) for number, pixels in enumerate((SHARP, SHARP, faint, faint))]
    faults = []
    for service in (pictures[:3], pictures[3:]):
        station = open_station(settings)
        with connect(station) as client:
            for image in service:
                told = predict(client, image, part_serial=f"SN-{len(faults)}").json()
                faults.append(told["camera_fault"])
        station.close()
    assert faults == [None, None, None, "sharpness_drift"]


def test_a_damaged_file_is_told_and_the_cameras_learn_again(
    offline: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (offline.root / "cameras.json").write_text("{")
    station = open_station(offline)
    with connect(station) as client:
        assert predict(client).json()["camera_fault"] is None
    station.close()
    assert "cameras.json cannot be used" in caplog.text


def test_a_record_tells_what_it_rests_on(client: Client) -> None:
    told = predict(client, production_order_id="PO-7").json()
    detail = client("GET", f"/api/v1/inspections/{told['inspection_id']}").json()
    assert detail["production_order_id"] == "PO-7"
    assert detail["station_id"]
    assert set(detail["thresholds"].values()) == {0.5}
    assert detail["confidence_threshold"] == 0.8
    # By hand: a chequer of 124 and 132 in cells of one pixel; the Laplacian is 4 x 8 = 32 each way.
    assert detail["image_quality"]["brightness"] == pytest.approx(128, abs=0.01)
    assert detail["image_quality"]["black_share"] == detail["image_quality"]["white_share"] == 0
    assert detail["image_quality"]["sharpness"] == pytest.approx(32**2, rel=0.05)
