"""Starting what is measured, each in processes of its own, and asking it."""

from __future__ import annotations

import http.client
import signal
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from inspection.settings import Settings
from inspection.tuning import LanePlan
from serving.keys import create_key
from serving.process import REPOSITORY, serve_command, serve_environment
from vqi.supervisor import wait_until

PEERS = {
    "fastapi": "bench.serve.peers.fastapi_raw",
    "litserve": "bench.serve.peers.litserve_form",
    "ray": "bench.serve.peers.ray_serve",
    "bentoml": "bench.serve.peers.naive_bentoml:Inspection",
}
FORMS = {"litserve", "bentoml"}
"""Those that take the image in a form."""
START_SECONDS = 120
BOUNDARY = "vqi-bench-boundary"


@dataclass(frozen=True)
class Stack:
    """A running server and how to ask it.

    Attributes:
        process: the first of its processes.
        headers: of a camera; `reader` those of who reads its metrics.
        form: the image goes into a multipart form, and not into the body as it is.
    """

    name: str
    port: int
    path: str
    process: psutil.Popen
    form: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    reader: Mapping[str, str] = field(default_factory=dict)

    def asking(self) -> Asking:
        """Opens a connection of a client of its own."""
        return Asking(self)

    def memory_mib(self) -> float:
        """Returns the memory of all its processes that is theirs alone."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_full_info().uss for process in family) / 2**20


class Asking:
    """One client with one connection that is kept; camera and part are made up.

    Attributes:
        body: of the last answer.
    """

    def __init__(self, stack: Stack, timeout: float = 60) -> None:
        self._stack = stack
        self.body = b""
        self._connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=timeout)

    def __call__(self, image: bytes) -> int:
        """Posts one image and reads the whole answer; returns its status."""
        body, headers = image, {"Content-Type": "image/jpeg"}
        if self._stack.form:
            body = _form(image)
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        elif self._stack.name == "ours":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        self._connection.request("POST", self._stack.path, body, {**headers, **self._stack.headers})
        answer = self._connection.getresponse()
        self.body = answer.read()
        return answer.status

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


@contextmanager
def our_service(settings: Settings, plan: LanePlan, **changes: object) -> Iterator[Stack]:
    """Runs our service with keys, outbox and warehouse, on the model in production.

    Args:
        settings: of its home.
        plan: threads and lanes.
        changes: further settings.
    """
    keys = settings.root / "bench-keys.json"
    keys.unlink(missing_ok=True)
    secret, reading = create_key(keys, "bench", "line"), create_key(keys, "bench reader", "viewer")
    own = settings.model_copy(update={"service_port": free_port()})
    told: dict[str, object] = {
        **serve_environment(own),
        "VQI_API_KEYS": keys,
        "VQI_WAREHOUSE_DSN": settings.dsn("warehouse"),
        "VQI_THREADS": plan.threads,
        "VQI_CROWDED_THREADS": plan.crowded_threads,
        "VQI_SERVICE_CONCURRENCY": plan.lanes,
        **{f"VQI_{name.upper()}": value for name, value in changes.items()},
    }
    variables = [f"{name}={value}" for name, value in told.items()]
    path = "/api/v1/ml/predict/visual-inspection?image_id=img&camera_id=cam-1&part_serial=SN-1"
    headers, reader = ({"Authorization": f"Bearer {key}"} for key in (secret, reading))
    with _running(["/usr/bin/env", *variables, *serve_command(own)], REPOSITORY, settings.root) as process:
        wait_until(lambda: _ready(own.service_port, "/readyz"), START_SECONDS, "our service does not start")
        yield Stack("ours", own.service_port, path, process, headers=headers, reader=reader)


@contextmanager
def peer(name: str, folder: Path, bundle: Path, threads: int) -> Iterator[Stack]:
    """Runs one of `PEERS` in a folder of its own."""
    (folder / "bundle").mkdir(parents=True)
    (folder / "bundle" / bundle.name).symlink_to(bundle)
    (folder / "threads").write_text(str(threads), encoding="ascii")
    port = free_port()
    variables = [f"PYTHONPATH={REPOSITORY}", f"BENTOML_HOME={folder}", "BENTOML_DO_NOT_TRACK=True"]
    variables += ["RAY_AUTH_MODE=disabled", "RAY_USAGE_STATS_ENABLED=0"]
    if ":" in PEERS[name]:
        command = [sys.executable, "-m", "bentoml", "serve", PEERS[name], "--port", str(port)]
    else:
        command = [sys.executable, "-m", PEERS[name], str(port)]
    with _running(["/usr/bin/env", *variables, *command], folder, folder) as process:
        stack = Stack(name, port, "/predict", process, form=name in FORMS)
        wait_until(lambda: _listens(port), START_SECONDS, f"{name} does not start: see its log")
        yield stack


@contextmanager
def _running(command: list[str], folder: Path, logs: Path) -> Iterator[psutil.Popen]:
    with (logs / "stack.log").open("ab") as log:
        process = psutil.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        family = [process, *process.children(recursive=True)]
        for end in (signal.SIGTERM, signal.SIGKILL):  # some peers wait for their children without ending them
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.send_signal(end)
            _, family = psutil.wait_procs(family, timeout=10)


def _form(image: bytes) -> bytes:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="part.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            return answer.status == 200
    except OSError:
        return False
    finally:
        connection.close()
