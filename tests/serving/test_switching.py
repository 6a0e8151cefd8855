"""Another model takes over, and goes back, in a real service under load: no request is dropped."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from inspection.registry import ModelRegistry
from inspection.store import open_store
from serving.process import REPOSITORY
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE, store_bundle
from tests.serving.plant import Plant, environment
from vqi.supervisor import wait_until

pytestmark = pytest.mark.slow

CAMERAS = 3
LIMIT_S = 2.0


class Line:
    """Cameras that post without a pause until they are ended; every answer must be a verdict."""

    def __init__(self, url: str) -> None:
        self.models: list[tuple[float, str]] = []  # when an answer came, and which model judged
        self._url = url
        self._ended = threading.Event()

    def camera(self) -> int:
        with httpx.Client(timeout=20) as client:
            posted = 0
            while not self._ended.is_set():
                headers = PNG | {"Idempotency-Key": str(uuid.uuid4())}
                answer = client.post(self._url + ROUTE, params=METADATA, content=GOOD, headers=headers)
                assert answer.status_code == 200, answer.text
                self.models.append((time.monotonic(), answer.json()["model_version"]))
                posted += 1
        return posted

    def end(self) -> None:
        self._ended.set()

    def wait_for(self, model: str, since: float) -> float:
        """Returns the seconds from a moment until the first answer of a model after it."""

        def times() -> list[float]:
            return [at for at, judge in list(self.models) if at > since and judge == model]

        wait_until(lambda: bool(times()), 30, f"{model} gives no answer")
        return times()[0] - since


def vqi(plant: Plant, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "vqi.main", *words, "--reason", "a test needs it"],
        cwd=REPOSITORY,
        env=environment(plant.settings),
        check=True,
        capture_output=True,
    )


def test_a_switch_drops_no_request_and_going_back_takes_less_than_two_seconds(
    plant: Plant,
) -> None:
    registry = ModelRegistry(open_store(plant.settings.artifacts_url))
    before = registry.production()
    assert before is not None
    other = store_bundle(registry.store, seed=11)
    line = Line(plant.service.url)
    with ThreadPoolExecutor(CAMERAS) as pool:
        cameras = [pool.submit(line.camera) for _ in range(CAMERAS)]
        try:
            line.wait_for(before, time.monotonic())
            vqi(plant, "approve", other)
            line.wait_for(other, time.monotonic())
            begun = time.monotonic()
            vqi(plant, "rollback")
            seconds = line.wait_for(before, begun)
        finally:
            line.end()
        posted = sum(camera.result(timeout=30) for camera in cameras)
    assert posted == len(line.models)
    assert {model for _, model in line.models} == {before, other}
    assert seconds < LIMIT_S
