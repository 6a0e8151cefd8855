"""The shadow judges what production has answered, and nothing that it does is seen in an answer."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
from prometheus_client import REGISTRY

from inspection.registry import ModelRegistry
from inspection.runtime import OnnxModel
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from serving import shadow
from serving.lanes import Lanes
from serving.outbox import Outbox
from serving.shadow import QUEUE
from serving.station import Station, open_station
from tests.serving.conftest import Client, connect
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE, SCRATCHED, store_bundle, tiny_model
from tests.serving.plant import Plant

Until = Callable[[Callable[[], bool]], None]


def start_shadow(settings: Settings, model: bytes | None = None, **changes: object) -> str:
    registry = ModelRegistry(open_store(settings.artifacts_url))
    candidate = store_bundle(registry.store, model, seed=1, **changes)  # type: ignore[arg-type]
    registry.start_shadow(candidate, actor="test", reason="a test needs it")
    return candidate


@pytest.fixture
def station(offline: Settings, monkeypatch: pytest.MonkeyPatch, until: Until) -> Iterator[Station]:
    """A service with a shadow that is loaded: a tiny model which finds nothing."""
    monkeypatch.setattr(shadow, "POLL_SECONDS", 0.02)
    start_shadow(offline, tiny_model(gain=0))
    opened = open_station(offline)
    until(lambda: opened.shadow.model is not None)
    yield opened
    opened.close()


@pytest.fixture
def client(station: Station) -> Iterator[Client]:
    with connect(station) as connected:
        yield connected


def predict(client: Client, image: bytes = GOOD) -> str:
    answer = client("POST", ROUTE, params=METADATA, content=image, headers=PNG)
    assert answer.status_code == 200
    told = answer.json()
    assert told["prediction"] == ("FAIL" if image == SCRATCHED else "PASS")
    return str(told["inspection_id"])


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("vqi_shadow_dropped_total", {"reason": reason}) or 0.0


def judged(station: Station, inspection: str) -> bool:
    return station.outbox.find(uuid.UUID(inspection), "shadow") is not None


def test_it_judges_the_same_part_for_the_record_alone(client: Client, station: Station, until: Until) -> None:
    inspection = predict(client, SCRATCHED)
    until(lambda: judged(station, inspection))
    production, beside = (
        station.outbox.find(uuid.UUID(inspection), role) for role in ("production", "shadow")
    )
    assert production is not None
    assert beside is not None
    assert (production.model_version, beside.model_version) == (
        station.models.current.id,
        station.models.registry.shadow(),
    )
    assert (production.prediction, beside.prediction) == ("FAIL", "PASS")
    same = {*METADATA, "inspection_id", "image_sha256"}
    assert production.model_dump(include=same) == beside.model_dump(include=same)
    assert beside.review_probability == 0
    assert set(beside.timings_ms) == {"decode", "normalise", "infer", "gauge", "decide"}
    assert beside.inference_time_ms == pytest.approx(sum(beside.timings_ms.values()), abs=0.1)
    # What is read back is production's.
    assert client("GET", f"/api/v1/inspections/{inspection}").json()["prediction"] == "FAIL"
    assert client("GET", "/api/v1/queue").json()["waiting"] == []


def test_the_verdict_rules_are_the_same_but_nobody_is_asked_to_look(
    client: Client, station: Station, until: Until
) -> None:
    # A gain of 0 and a bias of -10 leave a probability of 4.5e-5 everywhere: sure, so accepted.
    inspection = predict(client)
    until(lambda: judged(station, inspection))
    beside = station.outbox.find(uuid.UUID(inspection), "shadow")
    assert beside is not None
    assert (beside.recommended_action, beside.auto_action) == ("ACCEPT", "ACCEPT")
    assert beside.overall_confidence == pytest.approx(1 / (1 + np.exp(-10)), abs=1e-4)


def test_one_that_explodes_is_counted_and_goes_on(
    client: Client, station: Station, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dropped("failed")

    def explode(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    assert station.shadow.model is not None
    with monkeypatch.context() as patch:
        patch.setattr(station.shadow.model.network, "run", explode)
        lost = [predict(client, SCRATCHED) for _ in range(3)]
        until(lambda: dropped("failed") == before + 3)
    inspection = predict(client)
    until(lambda: judged(station, inspection))
    assert not any(judged(station, each) for each in lost)


def test_one_that_gives_nonsense_is_counted(
    client: Client, station: Station, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dropped("failed")
    assert station.shadow.model is not None
    nothing = np.full((1, 5), np.nan, np.float32), np.zeros((1, 5, 8, 8), np.float32)
    monkeypatch.setattr(station.shadow.model.network, "run", lambda *_, **__: nothing)
    predict(client)
    until(lambda: dropped("failed") == before + 1)


def test_one_that_hangs_keeps_a_few_images_and_no_answer(
    client: Client, station: Station, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, hanging, released = dropped("queue_full"), threading.Event(), threading.Event()

    def hang(images: np.ndarray, **_: object) -> object:
        hanging.set()
        assert released.wait(60)
        return OnnxModel.run(network, images)

    assert station.shadow.model is not None
    network = station.shadow.model.network
    monkeypatch.setattr(network, "run", hang)
    predict(client)
    assert hanging.wait(20)
    for _ in range(QUEUE + 4):
        predict(client, SCRATCHED)
    assert station.shadow._shown.qsize() == QUEUE
    assert dropped("queue_full") == before + 4
    released.set()
    until(lambda: station.shadow._shown.empty())


def test_it_works_only_while_the_line_is_idle(
    client: Client, station: Station, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    inferring, go_on, shadow_runs = threading.Event(), threading.Event(), threading.Event()
    assert station.shadow.model is not None
    network, own = station.models.current.network, station.shadow.model.network

    def slow(images: np.ndarray, **_: object) -> object:
        inferring.set()
        assert go_on.wait(60)
        return OnnxModel.run(network, images)

    def watched(images: np.ndarray, **_: object) -> object:
        shadow_runs.set()
        return OnnxModel.run(own, images)

    with station.lanes.place():  # a part that has come
        first = predict(client)
        monkeypatch.setattr(network, "run", slow)
        monkeypatch.setattr(own, "run", watched)
        assert not shadow_runs.wait(0.3)
    until(lambda: judged(station, first))

    shadow_runs.clear()
    asking = threading.Thread(target=lambda: [predict(client), None])
    asking.start()
    assert inferring.wait(20)
    assert not station.lanes.idle.is_set()
    go_on.set()
    asking.join(20)
    assert shadow_runs.wait(20)


def test_it_lets_go_between_its_steps(
    client: Client, station: Station, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, shadow_runs = threading.Event(), threading.Event()
    assert station.shadow.model is not None
    own = station.shadow.model.network
    real = shadow.to_tensor

    def and_a_part_comes(*arguments: object) -> object:
        station.lanes.idle.clear()
        decoded.set()
        return real(*arguments)  # type: ignore[arg-type]

    def watched(images: np.ndarray, **_: object) -> object:
        shadow_runs.set()
        return OnnxModel.run(own, images)

    monkeypatch.setattr(shadow, "to_tensor", and_a_part_comes)
    monkeypatch.setattr(own, "run", watched)
    inspection = predict(client)
    assert decoded.wait(20)
    assert not shadow_runs.wait(0.3)
    station.lanes.idle.set()
    until(lambda: judged(station, inspection))
    beside = station.outbox.find(uuid.UUID(inspection), "shadow")
    assert beside is not None
    assert beside.inference_time_ms < 300  # the waiting does not count


def test_the_last_room_of_the_outbox_is_left_to_production(
    client: Client, station: Station, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dropped("outbox_full")
    monkeypatch.setattr(Outbox, "full", property(lambda _: True))
    inspection = predict(client)
    until(lambda: dropped("outbox_full") == before + 1)
    assert not judged(station, inspection)


def test_a_part_past_its_deadline_is_not_compared(
    offline: Settings, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_shadow(offline)
    opened = open_station(offline.model_copy(update={"deadline_ms": 1}))
    until(lambda: opened.shadow.model is not None)
    before, released, network = dropped("not_judged"), threading.Event(), opened.models.current.network

    def slow(images: np.ndarray, **_: object) -> object:
        assert released.wait(60)
        return OnnxModel.run(network, images)

    monkeypatch.setattr(network, "run", slow)
    with connect(opened) as client:
        answer = client("POST", ROUTE, params=METADATA, content=GOOD, headers=PNG)
        assert answer.json()["route_reason"] == "deadline"
    released.set()
    opened.close()
    assert dropped("not_judged") == before + 1


def test_a_refused_shadow_is_told_and_production_goes_on(
    client: Client, station: Station, until: Until, offline: Settings
) -> None:
    first = predict(client)
    until(lambda: judged(station, first))
    bad = start_shadow(offline, b"no model")
    until(lambda: station.shadow.refusal is not None)
    listed = client("GET", "/api/v1/models").json()
    assert (listed["shadow"], listed["serving"]) == (bad, station.models.current.id)
    (told,) = [model for model in listed["models"] if model["id"] == bad]
    assert "refuses the model" in told["problem"]
    assert REGISTRY.get_sample_value("vqi_shadow_refused") == 1
    predict(client, SCRATCHED)


def test_approval_ends_it(client: Client, station: Station, until: Until) -> None:
    registry = station.models.registry
    beside = registry.shadow()
    assert beside is not None
    registry.approve(beside, actor="test", reason="it was as good")
    until(lambda: station.shadow.model is None)
    station.models.poll()
    told = {"role": "shadow", "model": beside[:12]}
    until(lambda: REGISTRY.get_sample_value("vqi_model_info", told) == 0)
    assert station.models.current.id == beside


def test_idle_means_no_place_is_taken(station: Station) -> None:
    lanes: Lanes = station.lanes
    assert lanes.idle.is_set()
    with lanes.place():
        assert not lanes.idle.is_set()
        with lanes.place():
            pass
        assert not lanes.idle.is_set()
    assert lanes.idle.is_set()


def test_in_a_real_service_it_reaches_the_warehouse(plant: Plant, until: Until) -> None:
    registry = ModelRegistry(open_store(plant.settings.artifacts_url))
    candidate = store_bundle(registry.store, tiny_model(gain=0), seed=3)
    registry.start_shadow(candidate, actor="test", reason="a test needs it")

    def both() -> bool:
        answer = httpx.post(plant.service.url + ROUTE, params=METADATA, content=SCRATCHED, headers=PNG)
        inspection = answer.raise_for_status().json()["inspection_id"]
        with transaction(plant.settings.dsn("warehouse")) as cursor:
            cursor.execute(
                "select distinct role, prediction, model_version from inference.predictions"
                " where model_version = any(%s)",
                ([candidate, answer.json()["model_version"]],),
            )
            found = {(role, prediction) for role, prediction, _ in cursor.fetchall()}
        assert inspection
        return {("production", "FAIL"), ("shadow", "PASS")} <= found

    until(both)
    registry.approve(registry.production() or "", actor="test", reason="the test is over")
