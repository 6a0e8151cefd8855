"""Runs assets on the Dagster instance of the home, so that the UI shows the run and its results."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inspection.errors import CheckFailedError, InspectionError, ServiceError
from inspection.settings import Settings
from vqi.dagster_home import instance
from vqi.dead_runs import end_dead_runs, process_tag
from vqi.programs import nobody_watches
from vqi.supervisor import REPOSITORY

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation, AssetKey, JobExecutionResult
    from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

CODE_LOCATION = "definitions"
ALL_ASSETS = "__ASSET_JOB"
CHECK_FAILED = "DagsterAssetCheckFailedError"
INTERRUPTED = "DagsterExecutionInterruptedError"


def materialize(
    settings: Settings,
    selection: str,
    config: Mapping[str, Any] | None = None,
    module: str = CODE_LOCATION,
) -> JobExecutionResult:
    """Makes the selected assets, one after the other, in this process.

    Args:
        settings: gives the instance.
        selection: asset selection as in the Dagster UI, such as ``group:labels or key:exported_model+``.
        config: run configuration of the assets: ``{"ops": {NAME: {"config": ...}}}``.
        module: holds the definitions, as ``defs``.

    Raises:
        InspectionError: nothing is selected.
        CheckFailedError: a blocking check stopped the run; all else went well.
        ServiceError: a step failed; the message names the step and its error.
        KeyboardInterrupt: the process was asked to end.
    """
    from dagster import AssetSelection, BetaWarning

    code = _code(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)  # of Dagster about its own use of `not`
        chosen = AssetSelection.from_string(selection)
    keys = chosen.resolve(code.get_definition().asset_graph)
    if not keys:
        raise InspectionError(f"no asset is selected by {selection!r}: the Dagster UI lists them")
    return _execute(settings, code.get_reconstructable_job(ALL_ASSETS), config, sorted(keys))


def run_job(
    settings: Settings, name: str, config: Mapping[str, Any] | None = None, module: str = CODE_LOCATION
) -> JobExecutionResult:
    """Runs one of the jobs that the schedules start, in this process; otherwise as `materialize`."""
    return _execute(settings, _code(module).get_reconstructable_job(name), config)


def _code(module: str) -> ReconstructableRepository:
    # Dagster has no public way to point to the job that holds all assets.
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    return ReconstructableRepository.for_module(module, "defs", working_directory=str(REPOSITORY))


def _execute(
    settings: Settings,
    job: ReconstructableJob,
    config: Mapping[str, Any] | None,
    asset_selection: Sequence[AssetKey] | None = None,
) -> JobExecutionResult:
    from dagster import execute_job

    # In this process: steps share what they have imported, and progress bars reach the terminal.
    # The instance keeps the log; here it would bury the bars, and an error is told in one line. What dbt
    # prints goes into a file.
    run_config = {
        **(config or {}),
        "execution": {"config": {"in_process": {}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    log = settings.root / "logs" / "runs.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with instance(settings) as home, log.open("a", encoding="utf-8") as file, redirect_stdout(file):
        end_dead_runs(home, unwatched=nobody_watches(settings))
        result = execute_job(
            job, home, run_config=run_config, tags=process_tag(), asset_selection=asset_selection
        )
    if not result.success:
        raise _failure(result)
    return result


def newest_record(settings: Settings, asset: str) -> str:
    """Returns the id that the newest materialization of an asset tells (see `resources.records`)."""
    from dagster import AssetKey

    from resources.records import record_id

    with instance(settings) as home:
        return record_id(home, AssetKey.from_user_string(asset))


def check_states(settings: Settings, module: str = CODE_LOCATION) -> list[dict[str, str]]:
    """Returns what each asset check said the last time it had an answer, by asset and name.

    States: passed, warned, failed, not applicable. A check without an answer is left out.
    """
    from resources.checks import last_evaluations

    keys = _code(module).get_definition().asset_graph.asset_check_keys
    with instance(settings) as home:
        told = last_evaluations(home, keys)
    return [
        {
            "asset": key.asset_key.to_user_string(),
            "name": key.name,
            "state": _state(evaluation),
            "description": evaluation.description or "",
        }
        for key, evaluation in told.items()
    ]


def split_config(as_of: datetime) -> dict[str, Any]:
    """Returns the run configuration that releases a split as of a time; without a zone it is UTC."""
    at = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    return {"ops": {"split_release": {"config": {"as_of": at.isoformat()}}}}


def _failure(result: JobExecutionResult) -> InspectionError:
    failures = [event for event in result.all_events if event.is_step_failure]
    errors = [event.step_failure_data.error for event in failures]
    closed = tuple(
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.blocking and not evaluation.passed
    )
    if closed and all(error is not None and error.cls_name == CHECK_FAILED for error in errors):
        return CheckFailedError(
            f"run {result.run_id} was stopped by {', '.join(closed)}: the Dagster UI shows what it found",
            closed,
        )
    if not failures:
        return ServiceError(f"run {result.run_id} failed: the Dagster UI shows where")
    error = errors[0]
    while error is not None and error.cause is not None:
        error = error.cause
    if error is not None and error.cls_name == INTERRUPTED:
        raise KeyboardInterrupt
    told = error.message.strip() if error else "no error was recorded"
    return ServiceError(f"run {result.run_id} failed: {failures[0].step_key}: {told}")


def _state(told: AssetCheckEvaluation) -> str:
    status = told.metadata.get("status")
    if status is not None and status.value == "not applicable":
        return "not applicable"
    if told.passed:
        return "passed"
    return "warned" if told.severity.name == "WARN" else "failed"
