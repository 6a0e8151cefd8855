"""Ends the runs whose process was killed: Dagster itself never learns of it, and their pool slots stay taken.

A run of the command line carries its process in a tag. The runs of the daemon carry none: Dagster watches
them while it runs, and after that nothing of them is alive.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

PROCESS = "vqi/process"


def process_tag() -> dict[str, str]:
    """Returns the tag that names the present process: host, process id and when it was started."""
    process = psutil.Process()
    return {PROCESS: f"{socket.gethostname()} {process.pid} {process.create_time()}"}


def end_dead_runs(home: DagsterInstance, *, unwatched: bool) -> list[str]:
    """Marks dead runs as failed and gives back their slots.

    Args:
        home: the instance.
        unwatched: no daemon watches this instance, so that a run without a tag is dead.

    Returns:
        The ids of the runs marked now.
    """
    from dagster import DagsterRunStatus, RunsFilter
    from dagster._core.storage.dagster_run import FINISHED_STATUSES

    begun = [
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    ]
    dead = [run for run in home.get_runs(RunsFilter(statuses=begun)) if _is_dead(run, unwatched)]
    for run in dead:
        home.report_run_failed(
            run, "The process of this run was killed. Run it again; nothing else is needed."
        )
    # A process that is killed while its run ends leaves a finished run with slots.
    holders = list(home.event_log_storage.get_concurrency_run_ids())
    finished = home.get_runs(RunsFilter(run_ids=holders, statuses=FINISHED_STATUSES)) if holders else []
    for run in finished:
        home.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _is_dead(run: DagsterRun, unwatched: bool) -> bool:
    if PROCESS not in run.tags:
        return unwatched and run.status.value != "NOT_STARTED"  # the daemon starts those when it is back
    host, pid, created = run.tags[PROCESS].rsplit(" ", 2)
    if host != socket.gethostname():
        return False
    try:
        return psutil.Process(int(pid)).create_time() != float(created)
    except psutil.NoSuchProcess:
        return True
