"""Is a part lost when the service is killed? Kill -9 at random moments, with parts under way, 200 times.

The service is the real one over HTTP, on a network of the demo's size with random weights, and its warehouse
a real PostgreSQL. Clients post parts without a pause. Now the process that judges is killed, now with it the
one that holds the port, and some before they are ready. Of the parts that a kill left without an answer every
other one is sent again under its key, once the service is back. At the end each answer is held against the
warehouse.
"""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from bench.ingest import machine, own_server
from bench.serve.model import approve, store_model
from bench.serve.stacks import free_port
from inspection.errors import ServiceError
from inspection.progress import report
from inspection.settings import Settings
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.defects import KINDS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.rendering import ImageSpec, photograph
from inspection.warehouse import ensure_warehouse, transaction
from serving.process import REPOSITORY, serve_command, serve_environment
from vqi.supervisor import wait_until

Result = dict[str, Any]

KILLS = 200
CLIENTS = 4
PATIENCE = 120.0  # seconds for a start, and for the warehouse to have everything
LONGEST_LIFE = 1.5  # seconds from ready to the kill
LONGEST_START = 3.0  # seconds from the start to a kill before ready
EARLY = 0.1  # share of the kills that come so early
WORKER_ALONE = 0.25  # share of the kills that leave the other process to start a new worker
ROUTE = "/api/v1/ml/predict/visual-inspection"


def run() -> Result:
    """Kills the service 200 times; takes about twenty minutes on two cores."""
    with own_server() as settings:
        ensure_warehouse(settings.dsn("warehouse"))
        approve(settings, store_model(settings, profile="demo"))
        photographs = [
            photograph(ImageSpec(0, number, kind.name, CAMERAS[0].camera_id, (KINDS[0],) * (number % 2))).jpeg
            for number, kind in enumerate(PART_TYPES)
        ]
        told = campaign(settings.model_copy(update={"service_port": free_port()}), photographs, KILLS)
    return {
        "name": "kills",
        "machine": machine(),
        "ratios": {
            "records_over_answered": told["records_of_answered"] / told["answered"],
            "lost_over_answered": told["lost"] / told["answered"],
        },
        "measured": told,
    }


def campaign(settings: Settings, images: Sequence[bytes], kills: int, seed: int = 0) -> dict[str, int]:
    """Kills the service of a home so many times under load, and counts what became of the parts.

    Args:
        settings: a model is in production there, and the warehouse has its tables.
        images: that clients post in turn.
        kills: how many.
        seed: of the moments and of what is killed.
    """
    draw = np.random.default_rng(seed)
    line = _Line(settings, images)
    early = workers = 0
    with _service(settings) as service:
        line.start()
        for number in range(kills):
            report("kills", number, kills)
            if draw.random() < EARLY:
                early += 1
                time.sleep(draw.uniform(0, LONGEST_START))
            else:
                line.wait_for_answer()
                time.sleep(draw.uniform(0, LONGEST_LIFE))
            if draw.random() < WORKER_ALONE and service.kill_worker():
                workers += 1
            else:
                service.kill()
                service.start()
        report("kills", kills, kills)
        line.wait_for_answer()
        line.stop()
        with suppress(ServiceError):  # what is missing then is lost, and counted
            wait_until(lambda: len(line.stored()) >= len(line.answers), PATIENCE, "records are missing")
    return {"kills": kills, "kills_before_ready": early, "kills_of_worker_alone": workers, **line.count()}


class _Service:
    """The process that holds the port, and its child that judges."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.start()

    def start(self) -> None:
        told = {**serve_environment(self._settings), "VQI_WAREHOUSE_DSN": self._settings.dsn("warehouse")}
        variables = [f"{name}={value}" for name, value in told.items()]
        with (self._settings.root / "service.log").open("ab") as log:
            self._process = psutil.Popen(
                ["/usr/bin/env", *variables, *serve_command(self._settings)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )

    def worker(self) -> psutil.Process | None:
        """Returns the child that judges, if it is there."""
        alive = (one for one in self._process.children() if one.status() != psutil.STATUS_ZOMBIE)
        return next(alive, None)

    def kill_worker(self) -> bool:
        """Kills the child alone, if it is there: the other one starts it again."""
        worker = self.worker()
        if worker is not None:
            worker.kill()
        return worker is not None

    def kill(self) -> None:
        """Kills both; the child has a session of its own."""
        family = self._process.children(recursive=True)
        self._process.send_signal(signal.SIGKILL)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)
        self._process.wait()


@contextmanager
def _service(settings: Settings) -> Iterator[_Service]:
    service = _Service(settings)
    try:
        yield service
    finally:
        service.kill()


@dataclass
class _Line:
    """Clients that post parts, note each answer, and go on when the service is back.

    Attributes:
        answers: by inspection id.
        unanswered: parts that nobody asked about again: people have them.
    """

    settings: Settings
    images: Sequence[bytes]
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    repeated: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _answered: threading.Condition = field(default_factory=threading.Condition)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answer(self) -> None:
        """Waits for one more answer."""
        with self._answered:
            before = len(self.answers)
            if not self._answered.wait_for(lambda: len(self.answers) > before, PATIENCE):
                raise TimeoutError(f"no part was answered within {PATIENCE:g} s: see service.log in its home")

    def _client(self, number: int) -> None:
        parts = 0
        while not self._ended.is_set():
            key, image = str(uuid.uuid4()), self.images[(number + parts) % len(self.images)]
            parts += 1
            if self._post(key, image):
                continue
            self._wait_until_ready()
            if parts % 2 and self._post(key, image):
                self.repeated += 1
            else:
                self.unanswered.add(key)

    def _post(self, key: str, image: bytes) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.service_port, timeout=20)
        try:
            connection.request(
                "POST",
                f"{ROUTE}?image_id={key}&camera_id=cam-1&part_serial={key}",
                image,
                {"Content-Type": "image/jpeg", "Idempotency-Key": key},
            )
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status != 200:
            return False
        with self._answered:
            self.answers[key] = json.loads(body)
            self._answered.notify_all()
        return True

    def _wait_until_ready(self) -> None:
        while not self._ended.wait(0.05):
            connection = http.client.HTTPConnection("127.0.0.1", self.settings.service_port, timeout=5)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()

    def stored(self) -> set[str]:
        """Returns the answered parts that the warehouse has."""
        return {row[0] for row in self._rows()} & self.answers.keys()

    def count(self) -> dict[str, int]:
        """Holds the answers against the warehouse."""
        rows = self._rows()
        found = {row[0]: row[1:] for row in rows}
        differing = [
            key
            for key, answer in self.answers.items()
            if key in found and found[key] != (answer["recommended_action"], answer["timestamp"])
        ]
        return {
            "answered": len(self.answers),
            "answered_when_asked_again": self.repeated,
            "records_of_answered": len(found.keys() & self.answers.keys()),
            "lost": len(self.answers.keys() - found.keys()),
            "duplicates": len(rows) - len(found),
            "records_that_differ_from_the_answer": len(differing),
            "unanswered": len(self.unanswered),
            "records_of_unanswered": len(found.keys() & self.unanswered),
        }

    def _rows(self) -> list[tuple[str, str, str]]:
        with transaction(self.settings.dsn("warehouse")) as cursor:
            cursor.execute(
                "select inspection_id::text, recommended_action,"
                " to_char(predicted_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
                " from inference.predictions where role = 'production'"
            )
            return cursor.fetchall()
