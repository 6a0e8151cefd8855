"""What `vqi up` runs, and when each of them counts as started."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from inspection.errors import ServiceError
from inspection.settings import DATABASES, Settings
from inspection.tls import trust
from inspection.warehouse import ensure_warehouse
from resources.dbt import build_docs, docs_folder
from serving.process import serve_command, serve_environment
from vqi import postgres
from vqi.dagster_home import dagster_folder, dagster_home, instance
from vqi.dead_runs import end_dead_runs
from vqi.environment import service_host, variables
from vqi.supervisor import REPOSITORY, Program, Supervisor, wait_until

LOOPBACK = "127.0.0.1"
RUNNING = ("RUNNING", "STARTING")
POSTGRES = "postgres"
DAEMON = "dagster-daemon"


def programs(settings: Settings) -> dict[str, Program]:
    """Returns every program of this home, by name, in the order in which they start."""
    database = [_postgres(settings)] if any(map(settings.uses_embedded, DATABASES)) else []
    found = [*database, _webserver(settings), _daemon(settings), _service(settings), _docs(settings)]
    return {program.name: program for program in found}


def ensure_started(
    settings: Settings, *names: str, seconds: float = 120, announce: Callable[[str], None] = lambda name: None
) -> list[str]:
    """Starts programs unless they run, and waits until each does its work.

    Args:
        settings: say which programs there are, and where they listen.
        names: all of them when none is named. A program whose settings have changed starts again.
        seconds: how long each may take.
        announce: called with the name of a program before the wait for it.

    Returns:
        The names of those that were started now.

    Raises:
        ServiceError: a port is taken by somebody else, or a program is not ready in time.
    """
    supervisor = Supervisor(settings.root)
    with supervisor.locked():
        supervisor.launch()
        known = programs(settings)
        wanted = [program for name, program in known.items() if not names or name in names]
        started: list[str] = []
        # The database first, as the others need it; those start side by side.
        for group in ([p for p in wanted if p.name == POSTGRES], [p for p in wanted if p.name != POSTGRES]):
            started += [p.name for p in group if _start(settings, supervisor, p)]
            for program in group:
                announce(program.name)
                _wait(settings, supervisor, program, seconds)
        return started


def stop_all(settings: Settings) -> bool:
    """Stops all that runs for this home and nothing else; tells whether anything did."""
    supervisor = Supervisor(settings.root)
    if not supervisor.folder.exists():
        return False
    with supervisor.locked():
        return supervisor.shutdown()


def states(settings: Settings) -> dict[str, str]:
    """Returns what each program does: running, starting, stopped, fatal ..."""
    supervisor = Supervisor(settings.root)
    return {name: supervisor.state(name).lower() for name in programs(settings)}


def nobody_watches(settings: Settings) -> bool:
    """Tells whether no daemon looks after the runs of this home.

    Another machine may share the storage that an address names; the embedded one is this home's alone.
    """
    return settings.uses_embedded("dagster") and Supervisor(settings.root).state(DAEMON) not in RUNNING


def _start(settings: Settings, supervisor: Supervisor, program: Program) -> bool:
    """Starts a program unless it runs with the settings of now; tells whether it had to."""
    running = supervisor.state(program.name) in RUNNING
    if running and not supervisor.outdated(program):
        return False
    if running:
        supervisor.stop(program.name)
    _claim_port(program)
    _prepare(settings, program)
    supervisor.start(program)
    return True


def _wait(settings: Settings, supervisor: Supervisor, program: Program, seconds: float) -> None:
    log = supervisor.logs / f"{program.name}.log"
    wait_until(
        partial(_ready, supervisor, program, log),
        seconds,
        f"{program.name} is not ready after {seconds:.0f} s; its log is {log}",
    )
    if program.name == POSTGRES:
        postgres.ensure_databases(settings)
        if settings.uses_embedded("warehouse"):
            ensure_warehouse(settings.dsn("warehouse"))


def _prepare(settings: Settings, program: Program) -> None:
    if program.name == POSTGRES:
        postgres.create_cluster(settings)
        postgres.clear_stale_lock(settings)
    elif program.name == DAEMON:
        with instance(settings) as home:
            end_dead_runs(home, unwatched=nobody_watches(settings))
    elif program.name.startswith("dagster"):
        dagster_home(settings)
    elif program.name == "dbt-docs":
        build_docs(settings)


def _ready(supervisor: Supervisor, program: Program, log: Path) -> bool:
    state = supervisor.state(program.name)
    if state == "FATAL":
        raise ServiceError(f"{program.name} ends as soon as it is started; its log is {log}")
    return state == "RUNNING" and program.ready()


def _claim_port(program: Program) -> None:
    if program.port is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, program.port))
        except OSError as error:
            raise ServiceError(
                f"port {program.port}, wanted by {program.name}, is taken by another program: "
                f"stop that, or set {program.port_setting} to a free port"
            ) from error


def _postgres(settings: Settings) -> Program:
    return Program(
        name=POSTGRES,
        command=postgres.server_command(settings),
        ready=lambda: postgres.answers(settings),
        port=settings.postgres_port,
        scheme="postgresql",
        port_setting="VQI_POSTGRES_PORT",
        user=postgres.system_user(),
        directory=Path("/"),  # its user need not be able to enter any other
        stop_signal="INT",  # the fast shutdown: does not wait for clients
    )


def _webserver(settings: Settings) -> Program:
    # Dagster asks nobody who they are, so its pages stay on this machine.
    address = ["--host", LOOPBACK, "--port", str(settings.dagster_port)]
    return Program(
        name="dagster-webserver",
        command=[_script("dagster-webserver"), "-w", str(REPOSITORY / "workspace.yaml"), *address],
        ready=partial(_answers, f"http://{LOOPBACK}:{settings.dagster_port}/server_info"),
        port=settings.dagster_port,
        port_setting="VQI_DAGSTER_PORT",
        environment=_dagster_environment(settings),
    )


def _daemon(settings: Settings) -> Program:
    return Program(
        name=DAEMON,
        command=[_script("dagster-daemon"), "run", "-w", str(REPOSITORY / "workspace.yaml")],
        ready=lambda: True,  # supervisord has seen it live for a second
        environment=_dagster_environment(settings),
    )


def _service(settings: Settings) -> Program:
    reachable = settings.model_copy(update={"host": service_host(settings)})
    return Program(
        name="service",
        # A killed server leaves its worker with the port: that has to go before the next one starts.
        command=[sys.executable, "-m", "vqi.orphans", "service", *serve_command(reachable)],
        ready=partial(_answers, f"{settings.service_url}/livez", settings.tls_certificate),
        port=settings.service_port,
        scheme=urlsplit(settings.service_url).scheme,
        port_setting="VQI_SERVICE_PORT",
        environment={**variables(reachable), **serve_environment(reachable)},
    )


def _docs(settings: Settings) -> Program:
    address = [str(settings.docs_port), "--bind", LOOPBACK, "--directory", str(docs_folder(settings))]
    return Program(
        name="dbt-docs",
        command=[sys.executable, "-m", "http.server", *address],
        ready=partial(_listens, settings.docs_port),
        port=settings.docs_port,
        port_setting="VQI_DOCS_PORT",
    )


def _dagster_environment(settings: Settings) -> dict[str, str]:
    return {**variables(settings), "DAGSTER_HOME": str(dagster_folder(settings))}


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _answers(url: str, certificate: Path | None = None) -> bool:
    try:
        return httpx.get(url, timeout=5, verify=trust(certificate)).is_success
    except httpx.HTTPError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
