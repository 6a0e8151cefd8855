"""Runs assets on the Dagster instance of the home, so that the UI shows the run and its results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inspection.errors import InspectionError, ServiceError
from inspection.settings import Settings
from vqi.dagster_home import dagster_home
from vqi.supervisor import REPOSITORY

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobExecutionResult

CODE_LOCATION = "definitions"
ALL_ASSETS = "__ASSET_JOB"


def instance(settings: Settings) -> DagsterInstance:
    """Returns the Dagster instance of the home; use it as a context manager."""
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(dagster_home(settings)))


def materialize(
    settings: Settings,
    selection: str,
    config: Mapping[str, Any] | None = None,
    module: str = CODE_LOCATION,
) -> JobExecutionResult:
    """Makes the selected assets, one after the other, in this process.

    Args:
        settings: gives the instance.
        selection: asset selection as in the Dagster UI, such as ``group:labels or key:onnx_model+``.
        config: run configuration of the assets: ``{"ops": {NAME: {"config": ...}}}``.
        module: holds the definitions, as ``defs``.

    Raises:
        InspectionError: nothing is selected.
        ServiceError: a step failed; the message names the step and its error.
    """
    from dagster import AssetSelection, execute_job

    # Dagster has no public way to point to the job that holds all assets.
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    code = ReconstructableRepository.for_module(module, "defs", working_directory=str(REPOSITORY))
    keys = AssetSelection.from_string(selection).resolve(code.get_definition().asset_graph)
    if not keys:
        raise InspectionError(f"no asset is selected by {selection!r}: the Dagster UI lists them")
    # In this process: steps share what they have imported, and progress bars reach the terminal.
    run_config = {**(config or {}), "execution": {"config": {"in_process": {}}}}
    with instance(settings) as home:
        result = execute_job(
            code.get_reconstructable_job(ALL_ASSETS),
            home,
            run_config=run_config,
            asset_selection=sorted(keys),
        )
    if not result.success:
        raise ServiceError(f"run {result.run_id} failed: {_reason(result)}")
    return result


def split_config(as_of: datetime) -> dict[str, Any]:
    """Returns the run configuration that releases a split as of a time; without a zone it is UTC."""
    at = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    return {"ops": {"split_release": {"config": {"as_of": at.isoformat()}}}}


def _reason(result: JobExecutionResult) -> str:
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return "the Dagster UI shows where"
    error = failures[0].step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{failures[0].step_key}: {error.message.strip() if error else 'no error was recorded'}"
