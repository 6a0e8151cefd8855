"""Nothing is lost: the service and its database are killed in the middle of a replay."""

from __future__ import annotations

import signal
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serving.outbox import Outbox
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE, SCRATCHED
from tests.serving.plant import Plant

pytestmark = pytest.mark.slow


class Replay:
    """A line that posts parts from three cameras and notes each answer."""

    def __init__(self, url: str, parts: int) -> None:
        self.keys = [str(uuid.uuid4()) for _ in range(parts)]
        self.answers: dict[str, str] = {}
        self._url = url
        self._progress = threading.Condition()
        self._cameras = ThreadPoolExecutor(3)
        self._client = httpx.Client(timeout=20)
        self._posts = [self._cameras.submit(self.post, key) for key in self.keys]

    def post(self, key: str) -> None:
        image = SCRATCHED if int(key[0], 16) % 2 else GOOD
        headers = PNG | {"Idempotency-Key": key}
        try:
            answer = self._client.post(self._url + ROUTE, params=METADATA, content=image, headers=headers)
        except httpx.TransportError:
            return  # no answer: the part goes to a person
        if answer.status_code == 200:
            with self._progress:
                self.answers[key] = answer.json()["prediction"]
                self._progress.notify_all()

    def wait_for_answers(self, count: int) -> None:
        with self._progress:
            assert self._progress.wait_for(lambda: len(self.answers) >= count, timeout=60)

    def end(self) -> None:
        for post in self._posts:
            post.result(timeout=60)
        self._cameras.shutdown()

    def post_what_got_no_answer(self) -> None:
        for key in set(self.keys) - set(self.answers):
            self.post(key)
        self._client.close()


def test_it_was_not_ready_before_a_model_was_approved(plant: Plant) -> None:
    for answer in plant.before_approval:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "shut down"])
def test_the_database_goes_away_during_a_replay(
    plant: Plant, number: signal.Signals, until: Callable[[Callable[[], bool]], None]
) -> None:
    replay = Replay(plant.service.url, parts=60)
    replay.wait_for_answers(15)
    plant.stop_database(number)
    replay.wait_for_answers(40)
    plant.start_database()
    replay.end()
    replay.post_what_got_no_answer()

    assert set(replay.answers) == set(replay.keys)  # the line did not notice
    until(lambda: plant.stored(replay.keys) == replay.answers)


def test_the_service_is_killed_during_a_replay(
    plant: Plant, until: Callable[[Callable[[], bool]], None]
) -> None:
    replay = Replay(plant.service.url, parts=80)
    replay.wait_for_answers(30)
    plant.service.kill(signal.SIGKILL)
    replay.end()
    answered = dict(replay.answers)
    assert 30 <= len(answered) < 80

    plant.start_service()
    until(lambda: answered.items() <= plant.stored(replay.keys).items())
    replay.post_what_got_no_answer()
    until(lambda: plant.stored(replay.keys) == replay.answers)
    assert set(replay.answers) == set(replay.keys)
    outbox = Outbox(plant.settings.root / "outbox.sqlite")
    until(lambda: outbox.count_unsent() == 0)
    outbox.close()


def test_the_port_is_free_after_the_server_was_killed_without_its_worker(
    plant: Plant, until: Callable[[Callable[[], bool]], None]
) -> None:
    def port_is_free() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", plant.settings.service_port)) != 0

    assert not port_is_free()
    plant.service.process.kill()
    plant.service.process.wait(timeout=10)
    until(port_is_free)
    plant.start_service()
