"""Real processes: `bentoml serve` and a PostgreSQL, to be killed and started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import psycopg2

from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.tls import trust
from inspection.warehouse import ensure_warehouse, transaction
from serving.process import REPOSITORY, serve_command, serve_environment
from tests.conftest import free_port
from tests.inspection.gauge.drawn import gauge
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE, manifest, store_bundle
from vqi.postgres import answers, clear_stale_lock, create_cluster, ensure_databases, run_as, server_command
from vqi.supervisor import wait_until

NO_AUDIT = 1e-12  # so that a verdict does not depend on the draw


def approve(settings: Settings, model: str) -> None:
    ModelRegistry(open_store(settings.artifacts_url)).approve(model, actor="test", reason="a test needs it")


class Service:
    """A real process of `bentoml serve`."""

    def __init__(self, settings: Settings, target: str | None = None, folder: Path = REPOSITORY) -> None:
        self.settings = settings
        self.url = settings.service_url
        self._log = settings.root / "service.log"
        command = serve_command(settings, target) if target else serve_command(settings)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, path: str = "/readyz", status: int = 200, seconds: float = 60) -> None:
        verify = trust(self.settings.tls_certificate)

        def answers() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            try:
                return httpx.get(self.url + path, timeout=5, verify=verify).status_code == status
            except httpx.TransportError:
                return False

        wait_until(answers, seconds, f"{path} is not {status}; the log: {self._log.read_text()[-2000:]}")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends the server and its worker at once."""
        with suppress(psutil.NoSuchProcess):  # gone already
            server = psutil.Process(self.process.pid)
            for process in (server, *server.children(recursive=True)):  # the worker has a session of its own
                process.send_signal(number)
        self.process.wait(timeout=30)

    def log(self) -> str:
        return self._log.read_text()


def environment(settings: Settings) -> dict[str, str]:
    own = settings.model_dump(
        include={"artifacts", "warehouse_dsn", "audit_share", "api_keys", "deadline_ms", "upload_seconds"}
        | {"tls_certificate", "tls_key", "rate_limits"},
        exclude_none=True,
        mode="json",
    )
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in own.items()}
    return (
        os.environ
        | {f"VQI_{name.upper()}": value for name, value in texts.items()}
        | serve_environment(settings)
    )


class Plant:
    """A database and a service that can be killed and started."""

    def __init__(self, database: Settings, home: Path) -> None:
        create_cluster(database)
        self._database = database
        self._postgres: subprocess.Popen[bytes] | None = None
        self.settings = Settings(
            home=home,
            service_port=free_port(),
            warehouse_dsn=database.dsn("warehouse"),
            audit_share=NO_AUDIT,
            upload_seconds=2,
        )
        self.before_approval: list[httpx.Response] = []

    def start(self) -> None:
        """Starts all; a model is approved only when the service runs already."""
        self.service = Service(self.settings)  # takes its time, and does not need the database
        self.start_database()
        ensure_databases(self._database)
        ensure_warehouse(self.settings.dsn("warehouse"))
        self.service.wait("/livez")
        self.before_approval = [
            httpx.get(self.service.url + "/readyz"),
            httpx.post(self.service.url + ROUTE, params=METADATA, content=GOOD, headers=PNG),
        ]
        measuring = gauge(manifest().classes[-1])
        approve(self.settings, store_bundle(open_store(self.settings.artifacts_url), gauge=measuring))
        self.service.wait("/readyz")

    def stop(self) -> None:
        self.service.kill()
        self.stop_database(signal.SIGQUIT)

    def start_database(self) -> None:
        clear_stale_lock(self._database)
        with (self._database.root / "log").open("ab") as log:
            self._postgres = subprocess.Popen(
                server_command(self._database), cwd="/", stdout=log, stderr=log, **run_as()
            )
        wait_until(lambda: answers(self._database), 60, "PostgreSQL does not start")

    def stop_database(self, number: signal.Signals) -> None:
        if self._postgres is not None:
            self._postgres.send_signal(number)
            self._postgres.wait(timeout=60)

    def start_service(self) -> None:
        self.service = Service(self.settings)
        self.service.wait()

    def stored(self, keys: list[str]) -> dict[str, str]:
        """Returns the prediction of each of these inspections that the warehouse has."""
        try:
            with transaction(self.settings.dsn("warehouse")) as cursor:
                cursor.execute(
                    "select inspection_id::text, prediction from inference.predictions"
                    " where role = 'production' and inspection_id::text = any(%s)",
                    (keys,),
                )
                rows = cursor.fetchall()
        except psycopg2.OperationalError:  # on its way up after a crash
            return {}
        assert len(rows) == len({key for key, _ in rows})
        return dict(rows)


def refused_start(command: list[str], settings: Settings) -> str:
    """Returns what a service says that does not start."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr
