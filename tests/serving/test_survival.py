"""Nothing is lost: the service and its database are killed in the middle of a replay."""

from __future__ import annotations

import signal
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import httpx
import pytest

from inspection.warehouse import transaction
from serving.forwarder import Forwarder
from serving.outbox import Outbox
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE, SCRATCHED, UNSURE
from tests.serving.plant import Plant
from tests.serving.test_outbox import prediction

pytestmark = pytest.mark.slow


CAMERAS = 3


class Replay:
    """A line that posts parts from three cameras, and notes each answer, until it is ended.

    It goes on for as long as a test needs it: with a fixed number of parts, what a test does in the middle
    might come after the last one. A camera that gets no answer stands still.
    """

    def __init__(self, url: str) -> None:
        self.keys: list[str] = []
        self.answers: dict[str, str] = {}
        self._url = url
        self._ended = threading.Event()
        self._progress = threading.Condition()
        self._client = httpx.Client(timeout=20)
        self._pool = ThreadPoolExecutor(CAMERAS)
        self._cameras = [self._pool.submit(self._camera) for _ in range(CAMERAS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._pool.shutdown()
        self._client.close()

    def _camera(self) -> None:
        answered = True
        while answered and not self._ended.is_set():
            key = str(uuid.uuid4())
            with self._progress:
                self.keys.append(key)
            answered = self._post(key)

    def _post(self, key: str) -> bool:
        image = SCRATCHED if int(key[0], 16) % 2 else GOOD
        headers = PNG | {"Idempotency-Key": key}
        try:
            answer = self._client.post(self._url + ROUTE, params=METADATA, content=image, headers=headers)
        except httpx.TransportError:
            return False  # no answer: the part goes to a person
        if answer.status_code != 200:
            return False
        with self._progress:
            self.answers[key] = answer.json()["prediction"]
            self._progress.notify_all()
        return True

    def wait_for_answers(self, count: int) -> None:
        """Waits for so many answers more than there are."""
        with self._progress:
            wanted = len(self.answers) + count
            assert self._progress.wait_for(lambda: len(self.answers) >= wanted, timeout=60)

    def wait_until_it_stands_still(self) -> None:
        for camera in self._cameras:
            camera.result(timeout=60)

    def end(self) -> None:
        self._ended.set()
        self.wait_until_it_stands_still()

    def post_what_got_no_answer(self) -> None:
        for key in set(self.keys) - set(self.answers):
            assert self._post(key)


def test_it_was_not_ready_before_a_model_was_approved(plant: Plant) -> None:
    for answer in plant.before_approval:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "shut down"])
def test_the_database_goes_away_during_a_replay(
    plant: Plant, number: signal.Signals, until: Callable[[Callable[[], bool]], None]
) -> None:
    with Replay(plant.service.url) as replay:
        replay.wait_for_answers(15)
        plant.stop_database(number)
        replay.wait_for_answers(25)
        plant.start_database()
        replay.wait_for_answers(15)
        replay.end()

    assert set(replay.answers) == set(replay.keys)  # the line did not notice
    until(lambda: plant.stored(replay.keys) == replay.answers)


def test_the_service_is_killed_during_a_replay(
    plant: Plant, until: Callable[[Callable[[], bool]], None]
) -> None:
    with Replay(plant.service.url) as replay:
        replay.wait_for_answers(30)
        plant.service.kill(signal.SIGKILL)
        replay.wait_until_it_stands_still()
        answered = dict(replay.answers)
        assert len(replay.keys) == len(answered) + CAMERAS

        plant.start_service()
        until(lambda: answered.items() <= plant.stored(replay.keys).items())
        replay.post_what_got_no_answer()
    until(lambda: plant.stored(replay.keys) == replay.answers)
    assert set(replay.answers) == set(replay.keys)
    outbox = Outbox(plant.settings.root / "outbox.sqlite")
    until(lambda: outbox.count_unsent() == 0)
    outbox.close()


def test_thousands_wait_for_the_database(
    plant: Plant, tmp_path: Path, until: Callable[[Callable[[], bool]], None]
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    forwarder = Forwarder(outbox, plant.settings)
    records = [prediction(uuid.uuid4().int) for _ in range(3000)]
    keys = [str(record.inspection_id) for record in records]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(outbox.add, records[:500]))
        forwarder.start()
        until(lambda: outbox.count_unsent() == 0)
        plant.stop_database(signal.SIGKILL)
        list(pool.map(outbox.add, records[500:2500]))
        assert outbox.count_unsent() == 2000
        plant.start_database()
        list(pool.map(outbox.add, records[2500:]))
    until(lambda: outbox.count_unsent() == 0)
    assert len(plant.stored(keys)) == 3000  # which sees to it that each is there once
    forwarder.stop()
    outbox.close()


def test_the_port_is_free_after_the_server_was_killed_without_its_worker(
    plant: Plant, until: Callable[[Callable[[], bool]], None]
) -> None:
    assert not port_is_free(plant)
    plant.service.process.kill()
    plant.service.process.wait(timeout=10)
    until(lambda: port_is_free(plant))
    plant.start_service()


def port_is_free(plant: Plant) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", plant.settings.service_port)) != 0


def test_a_kill_leaves_people_their_images(plant: Plant, until: Callable[[Callable[[], bool]], None]) -> None:
    sent = httpx.post(plant.service.url + ROUTE, params=METADATA, content=UNSURE, headers=PNG, timeout=20)
    inspection = sent.json()["inspection_id"]
    plant.service.kill()
    until(lambda: port_is_free(plant))
    plant.start_service()
    with httpx.Client(base_url=plant.service.url + "/api/v1", timeout=20) as people:
        entries = {part["inspection_id"]: part for part in people.get("/queue?limit=1000").json()["waiting"]}
        assert entries[inspection]["image_kept"] is True
        image = people.get(f"/inspections/{inspection}/image")
        assert (image.content, image.headers["content-type"]) == (UNSURE, "image/png")
        heatmap = people.get(f"/inspections/{inspection}/heatmap")
        assert heatmap.headers["content-type"] == "image/jpeg"
        assert heatmap.content.startswith(b"\xff\xd8\xff")
        decided = people.post(
            f"/inspections/{inspection}/review",
            json={"inspector_id": "anna", "decision": "REWORK", "comment": "deburr"},
        )
        assert decided.status_code == 201
    until(lambda: reviews_of(plant, inspection) == [("anna", "REWORK", "deburr")])


def reviews_of(plant: Plant, inspection: str) -> list[tuple[str, str, str]]:
    with transaction(plant.settings.dsn("warehouse")) as cursor:
        cursor.execute(
            "select inspector_id, decision, comment from inference.reviews where inspection_id = %s",
            (inspection,),
        )
        return cursor.fetchall()
