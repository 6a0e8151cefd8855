"""What people have before them when they decide: the queue, image, heatmap, and the part as a whole."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest

from inspection.settings import Settings
from serving.kept import KeptImages
from serving.keys import KeyRole, create_key
from serving.station import Station, open_station
from tests.serving.conftest import Client, connect, narrow
from tests.serving.examples import (
    BLUE,
    GOOD,
    JPEG,
    METADATA,
    RED,
    ROUTE,
    SCRATCHED,
    UNSURE,
    encode,
    manifest,
    picture,
)
from tests.serving.test_api import assert_problem, predict

SCRATCH, BURR, PIT, *_ = manifest().classes
QUEUE = "/api/v1/queue"


def unsure(number: int) -> bytes:
    """Each another image: the same one again would be a camera that stands still."""
    return encode(picture((140, 0, 0), (16 * (number % 8), 16 * (number // 8), 32, 16)))


def url(inspection: str, what: str) -> str:
    return f"/api/v1/inspections/{inspection}/{what}"


def decide(client: Client, inspection: str, decision: str = "PASS", **more: object) -> httpx.Response:
    options = {"headers": more.pop("headers", {})}
    body = {"inspector_id": "anna", "decision": decision} | more
    return client("POST", url(inspection, "review"), json=body, **options)


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB)


def changed(drawn: np.ndarray, sent: bytes) -> tuple[int, int, int, int]:
    """Where a drawing is far from the image that was sent: left, right, top, bottom."""
    before = cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_COLOR_RGB)
    rows, columns = np.nonzero((cv2.absdiff(drawn, before) > 60).any(axis=2))
    return columns.min(), columns.max() + 1, rows.min(), rows.max() + 1


# Images and heatmaps


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_people_get_the_image_as_it_was_sent(client: Client, kind: str) -> None:
    sent = encode(picture((140, 0, 0), (32, 64, 48, 16)), kind)
    headers = {"Content-Type": "image/png" if kind == ".png" else "image/jpeg"}
    told = client("POST", ROUTE, params=METADATA, content=sent, headers=headers).json()
    assert told["recommended_action"] == "HUMAN_INSPECTION"
    (entry,) = client("GET", QUEUE).json()["waiting"]
    assert entry["image_kept"] is True
    answer = client("GET", url(told["inspection_id"], "image"))
    assert answer.content == sent
    assert answer.headers["content-type"] == headers["Content-Type"]


def test_the_heatmap_shows_the_place(client: Client) -> None:
    told = predict(client, UNSURE).json()
    (defect,) = told["defects"]
    assert defect["bounding_box"] == {"x": 32, "y": 64, "width": 48, "height": 16}
    answer = client("GET", url(told["inspection_id"], "heatmap"))
    assert answer.headers["content-type"] == "image/jpeg"
    drawn = pixels(answer)
    assert drawn.shape == (128, 128, 3)
    left, right, top, bottom = changed(drawn, UNSURE)
    # The rectangle, and at most one cell of 16 pixels around it.
    assert 16 <= left <= 32
    assert 80 <= right <= 96
    assert 48 <= top <= 64
    assert 80 <= bottom <= 96


def test_the_heatmap_of_a_class(client: Client) -> None:
    image = picture((140, 0, 0), (0, 0, 32, 32))
    image[96:, 96:] = (0, 0, 138)
    told = predict(client, encode(image)).json()
    assert [defect["class"] for defect in told["defects"]] == [SCRATCH, PIT]
    heatmap = url(told["inspection_id"], "heatmap")
    surest = pixels(client("GET", heatmap))
    assert np.array_equal(pixels(client("GET", heatmap, params={"class": SCRATCH})), surest)
    other = pixels(client("GET", heatmap, params={"class": PIT}))
    # OpenCV's INFERNO at the peak is bright where the pixel was dark.
    assert surest[8, 8].min() > 80 > other[8, 8].min()
    assert other[120, 120].min() > 80 > surest[120, 120].min()
    assert_problem(client("GET", heatmap, params={"class": "CHEESE"}), 404, "CHEESE", SCRATCH)


def test_what_is_not_kept(client: Client) -> None:
    accepted = predict(client, GOOD).json()["inspection_id"]
    for what in ("image", "heatmap"):
        assert_problem(client("GET", url(accepted, what)), 404, "kept")
        assert_problem(client("GET", url(str(uuid.uuid4()), what)), 404, "no inspection")
        assert_problem(client("GET", url("..%2F..%2Foutbox.sqlite", what)), 404)
        assert_problem(client("GET", url("outbox", what)), 422, "inspection_id")


def test_past_the_deadline_people_have_the_image(station: Station, held: threading.Event) -> None:
    slow = narrow(station, deadline_ms=50)
    with connect(slow) as client:
        told = predict(client, SCRATCHED).json()
        assert told["route_reason"] == "deadline"
        assert client("GET", url(told["inspection_id"], "image")).content == SCRATCHED
        assert_problem(client("GET", url(told["inspection_id"], "heatmap")), 404, "in time")
        garbage = client("POST", ROUTE, params=METADATA, content=b"<html>", headers=JPEG).json()
        assert garbage["route_reason"] == "deadline"
        first, second = client("GET", QUEUE).json()["waiting"]
        assert (first["image_kept"], second["image_kept"]) == (True, False)
        assert_problem(client("GET", url(garbage["inspection_id"], "image")), 404)
        held.set()
        slow.lanes.close()  # what was in work comes to its end, and changes nothing
        assert client("GET", url(told["inspection_id"], "image")).content == SCRATCHED


def test_images_are_there_after_a_restart_and_go_when_decided(offline: Settings) -> None:
    settings = offline.model_copy(update={"kept_days": 0.0})
    first = open_station(settings)
    with connect(first) as client:
        early, late = (predict(client, unsure(number)).json()["inspection_id"] for number in range(2))
        # As after a crash between the review and its consequence.
        elsewhere = KeptImages(settings.root / "elsewhere", 0, 0, first.outbox.waits_for_person)
        with connect(replace(first, kept=elsewhere)) as other:
            assert decide(other, early).status_code == 201
    first.close()
    again = open_station(settings)
    with connect(again) as client:
        assert_problem(client("GET", url(early, "image")), 404)
        assert client("GET", url(late, "image")).content == unsure(1)
        assert client("GET", url(late, "heatmap")).status_code == 200
    again.close()


def test_without_room_parts_still_go_to_people(offline: Settings) -> None:
    small = open_station(offline.model_copy(update={"kept_max_bytes": 0}))
    with connect(small) as client:
        told = predict(client, UNSURE).json()
        assert told["routed_to"] == "human_review"
        (entry,) = client("GET", QUEUE).json()["waiting"]
        assert (entry["inspection_id"], entry["image_kept"]) == (told["inspection_id"], False)
        assert decide(client, told["inspection_id"]).status_code == 201
    small.close()


def test_a_repeated_request_brings_an_image_that_was_not_kept(offline: Settings) -> None:
    small = open_station(offline.model_copy(update={"kept_max_bytes": 0}))
    key = str(uuid.uuid4())
    with connect(small) as client:
        first = predict(client, UNSURE, key).json()
    small.close()
    again = open_station(offline)
    with connect(again) as client:
        assert predict(client, UNSURE, key).json() == first
        assert client("GET", url(key, "image")).content == UNSURE
        decide(client, key)
        again.kept._remove(uuid.UUID(key))
        predict(client, UNSURE, key)
        assert uuid.UUID(key) not in again.kept  # nobody needs it any more
    again.close()


# The queue


def test_the_queue_in_pages(client: Client) -> None:
    sent = [predict(client, unsure(number)).json()["inspection_id"] for number in range(5)]
    found, cursor = [], {}
    for size in (2, 2, 1):
        page = client("GET", QUEUE, params={"limit": 2} | cursor).json()
        assert len(page["waiting"]) == size
        found += [part["inspection_id"] for part in page["waiting"]]
        cursor = {"cursor": page["next_cursor"]}
    assert found == sent
    assert cursor == {"cursor": None}
    assert client("GET", QUEUE, params={"limit": 5}).json()["next_cursor"] is None
    for wrong in ("", "x", "2-1", "1-", "1-1' or 1", f"1-{10**19}"):
        assert_problem(client("GET", QUEUE, params={"cursor": wrong}), 422, "cursor")


@pytest.fixture
def lined_up(offline: Settings) -> Iterator[Client]:
    offline.calibration.mkdir()
    rows = ["camera_id,line_id,effective_from", "a-1,a,2026-01-01", "a-2,a,2026-01-01", "b-1,b,2026-01-01"]
    (offline.calibration / "camera_config.csv").write_text("\n".join(rows), encoding="utf-8")
    opened = open_station(offline)
    with connect(opened) as connected:
        yield connected
    opened.close()


def test_the_queue_of_a_line_a_camera_a_reason(lined_up: Client) -> None:
    for number, camera in enumerate(("a-1", "a-2", "b-1", "somewhere")):
        predict(lined_up, unsure(number), camera_id=camera, image_id=camera)
    predict(lined_up, encode(np.zeros((128, 128, 3), np.uint8)), camera_id="a-2", image_id="black")

    def found(**params: str) -> list[tuple[str, str]]:
        answer = lined_up("GET", QUEUE, params=params)
        assert answer.status_code == 200, answer.text
        return [(part["image_id"], part["line_id"]) for part in answer.json()["waiting"]]

    everything = [("a-1", "a"), ("a-2", "a"), ("b-1", "b"), ("somewhere", "unknown"), ("black", "a")]
    assert found() == everything
    assert found(line_id="a") == [("a-1", "a"), ("a-2", "a"), ("black", "a")]
    assert found(line_id="a", camera_id="a-2") == [("a-2", "a"), ("black", "a")]
    assert found(line_id="a", camera_id="b-1") == []
    assert found(camera_id="somewhere") == [("somewhere", "unknown")]
    assert found(reason="camera_health") == [("black", "a")]
    assert found(line_id="a", reason="low_confidence") == everything[:2]
    for line in ("c", "unknown"):
        assert_problem(lined_up("GET", QUEUE, params={"line_id": line}), 404, line)
    for params in ({"reason": "because"}, {"first": "mine"}):
        assert_problem(lined_up("GET", QUEUE, params=params), 422, next(iter(params)))


def test_safety_critical_parts_first(station: Station, client: Client) -> None:
    ontology = station.models.current.manifest.ontology
    critical = {defect.id for defect in ontology.classes if defect.safety_critical}
    colours = {SCRATCH: (140, 0, 0), BURR: (0, 140, 0), PIT: (0, 0, 140)}
    sent = []
    for number, name in enumerate((SCRATCH, BURR, PIT, SCRATCH, BURR, PIT)):
        image = encode(picture(colours[name], (16 * number, 32, 16, 32)))
        sent.append((predict(client, image).json()["inspection_id"], name))
    params = {"first": "safety_critical", "limit": 4}
    page = client("GET", QUEUE, params=params).json()
    rest = client("GET", QUEUE, params=params | {"cursor": page["next_cursor"]}).json()
    found = [part["inspection_id"] for part in page["waiting"] + rest["waiting"]]
    expected = sorted(sent, key=lambda part: part[1] not in critical)
    assert found == [inspection for inspection, _ in expected]


# Audits


@pytest.fixture
def audited(offline: Settings, tmp_path: Path) -> Iterator[dict[str, Client]]:
    """A client for each role, of a station that audits every part."""
    keys = tmp_path / "keys.json"
    secrets = {role: create_key(keys, role, role) for role in get_args(KeyRole)}
    station = open_station(offline.model_copy(update={"audit_share": 1.0, "api_keys": keys}))
    clients = {role: Client(station, Authorization=f"Bearer {secret}") for role, secret in secrets.items()}
    yield clients
    for client in clients.values():
        client.runner.close()
    station.close()


def test_an_audit_is_blind_until_a_person_has_decided(audited: dict[str, Client]) -> None:
    line, inspector, viewer = audited["line"], audited["inspector"], audited["viewer"]
    told = predict(line, SCRATCHED).json()
    inspection = told["inspection_id"]
    assert (told["prediction"], told["route_reason"]) == ("FAIL", "audit")
    withheld = {"prediction": None, "defects": [], "overall_confidence": None, "blind": True}

    for client in (inspector, viewer):
        (entry,) = client("GET", QUEUE).json()["waiting"]
        assert entry == told | withheld | {"line_id": "unknown", "image_kept": True}

    detail = inspector("GET", f"/api/v1/inspections/{inspection}").json()
    assert {name: detail[name] for name in withheld} == withheld
    assert (detail["probabilities"], detail["auto_action"]) == ({}, None)
    assert inspector("GET", url(inspection, "image")).content == SCRATCHED
    assert_problem(inspector("GET", url(inspection, "heatmap")), 403, "decide first")
    part = inspector("GET", f"/api/v1/parts/{told['part_serial']}")
    assert part.json()["action"] == "HUMAN_INSPECTION"
    assert SCRATCH not in part.text

    detail = viewer("GET", f"/api/v1/inspections/{inspection}").json()  # who only reads decides nothing
    assert (detail["prediction"], detail["auto_action"], detail["blind"]) == ("FAIL", "REWORK", False)
    assert viewer("GET", url(inspection, "heatmap")).status_code == 200

    answer = decide(inspector, inspection, "REWORK", defect_class=SCRATCH)
    assert answer.json()["overrides"] is False
    detail = inspector("GET", f"/api/v1/inspections/{inspection}").json()
    assert (detail["prediction"], detail["blind"]) == ("FAIL", False)
    assert inspector("GET", url(inspection, "heatmap")).status_code == 200
    assert inspector("GET", QUEUE).json()["waiting"] == []


def test_other_parts_show_what_the_model_said(client: Client) -> None:
    told = predict(client, UNSURE).json()
    (entry,) = client("GET", QUEUE).json()["waiting"]
    assert entry == told | {"blind": False, "line_id": "unknown", "image_kept": True}


# Decisions


def test_a_second_inspector_may_decide_otherwise(client: Client) -> None:
    inspection = predict(client, UNSURE).json()["inspection_id"]
    assert decide(client, inspection, "FAIL", comment="deep").json()["overrides"] is False
    late = decide(client, inspection, "PASS", inspector_id="bert", comment="wiped off").json()
    assert late["overrides"] is True
    reviews = client("GET", f"/api/v1/inspections/{inspection}").json()["reviews"]
    told = [(review["inspector_id"], review["decision"], review["comment"]) for review in reviews]
    assert told == [("anna", "FAIL", "deep"), ("bert", "PASS", "wiped off")]


def test_a_decision_sent_twice_is_one(client: Client) -> None:
    first, second = (predict(client, unsure(number)).json()["inspection_id"] for number in range(2))
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    once = decide(client, first, "FAIL", headers=headers)
    again = decide(client, first, "FAIL", headers=headers)
    assert (once.status_code, once.json()) == (again.status_code, again.json())
    assert len(client("GET", f"/api/v1/inspections/{first}").json()["reviews"]) == 1
    # A key that comes again with something else would lose it.
    assert_problem(decide(client, first, "PASS", headers=headers), 409, "new key")
    assert_problem(decide(client, second, "FAIL", headers=headers), 409, "new key")
    assert [part["inspection_id"] for part in client("GET", QUEUE).json()["waiting"]] == [second]


# Parts


def test_the_worst_camera_decides_on_a_part(client: Client) -> None:
    def part() -> tuple[str, str, list[tuple[str, str, str | None]]]:
        told = client("GET", "/api/v1/parts/SN-1").json()
        views = [(view["camera_id"], view["action"], view["decision"]) for view in told["inspections"]]
        return told["action"], told["routed_to"], views

    predict(client, GOOD, camera_id="top")
    assert part() == ("ACCEPT", "next_station", [("top", "ACCEPT", None)])
    predict(client, SCRATCHED, camera_id="left")
    assert part()[:2] == ("REWORK", "rework_station")
    doubtful = predict(client, UNSURE, camera_id="right").json()["inspection_id"]
    predict(client, SCRATCHED, camera_id="left", part_serial="SN-2")
    assert part() == (
        "HUMAN_INSPECTION",
        "human_review",
        [("top", "ACCEPT", None), ("left", "REWORK", None), ("right", "HUMAN_INSPECTION", None)],
    )
    decide(client, doubtful, "PASS")
    assert part()[:2] == ("REWORK", "rework_station")
    decide(client, doubtful, "FAIL", inspector_id="bert")
    assert part()[:2] == ("SCRAP", "scrap_bin")
    assert part()[2][-1] == ("right", "SCRAP", "FAIL")


def test_a_part_that_comes_back_is_judged_anew(station: Station, client: Client) -> None:
    predict(client, SCRATCHED)
    predict(client, GOOD)
    assert client("GET", "/api/v1/parts/SN-1").json()["action"] == "REWORK"
    impatient = replace(station, settings=station.settings.model_copy(update={"part_window_seconds": 1e-6}))
    with connect(impatient) as later:
        told = later("GET", "/api/v1/parts/SN-1").json()
        assert told["action"] == "ACCEPT"
        assert len(told["inspections"]) == 1


@pytest.mark.parametrize("serial", ["SN/1", "../SN", "SN 1?", "Nº 7", "%2F"])
def test_serials_of_any_kind(client: Client, serial: str) -> None:
    predict(client, encode(picture(BLUE, (0, 0, 16, 16))), part_serial=serial)
    answer = client("GET", f"/api/v1/parts/{quote(serial, safe='')}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["part_serial"] == serial


def test_a_part_that_is_not_there(client: Client) -> None:
    assert_problem(client("GET", "/api/v1/parts/SN-9"), 404, "SN-9")


def test_a_serial_of_all_parts_is_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.routes.parts.MOST_VIEWS", 2)
    for colour in (RED, BLUE):
        predict(client, encode(picture(colour, (0, 0, 16, 16))))
    assert client("GET", "/api/v1/parts/SN-1").status_code == 200
    predict(client, GOOD)
    assert_problem(client("GET", "/api/v1/parts/SN-1"), 409, "serial")
