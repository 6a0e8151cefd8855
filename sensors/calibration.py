"""Reads the calibration files when one has arrived or changed."""

from collections.abc import Callable

import dagster as dg

from inspection.ingestion.files import fingerprint
from inspection.settings import get_settings
from sensors.jobs import calibration


def calibration_sensor(job_name: str, read: Callable[[], str]) -> dg.SensorDefinition:
    """Returns a sensor that starts the job once for each state of the folder.

    Args:
        job_name: the job that reads the files.
        read: returns the state, empty while there is no file.
    """

    @dg.sensor(
        name="calibration_arrived",
        job_name=job_name,
        minimum_interval_seconds=60,
        description="Reads the calibration files when one has arrived or changed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        state = read()
        if not state:
            return dg.SkipReason("there are no calibration files")
        if state == context.cursor:
            return dg.SkipReason("no file has changed")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=state)], cursor=state)

    return sensor


calibration_sensors = [
    calibration_sensor(calibration.name, read=lambda: fingerprint(get_settings().calibration))
]
