"""Starts a training when enough has been annotated."""

from collections.abc import Callable

import dagster as dg

from inspection.annotations import Annotated, read_annotated, training_wanted
from inspection.settings import get_settings
from sensors.jobs import training


def annotation_sensor(
    job_name: str, read: Callable[[], Annotated], enough: Callable[[], int]
) -> dg.SensorDefinition:
    """Returns a sensor that starts the job once for each `enough` new annotations.

    Args:
        job_name: the job that trains.
        read: tells what has been annotated.
        enough: tells how many new annotations make a training worth while.
    """

    @dg.sensor(
        name="enough_new_annotations",
        job_name=job_name,
        minimum_interval_seconds=300,
        description="Trains when enough annotations have come since the last split release.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        wanted = training_wanted(context.cursor, read(), enough())
        if wanted.key is None:
            return dg.SkipReason(wanted.reason)
        request = dg.RunRequest(run_key=wanted.key, tags={"reason": wanted.reason})
        return dg.SensorResult(run_requests=[request], cursor=wanted.key)

    return sensor


annotation_sensors = [
    annotation_sensor(
        training.name,
        read=lambda: read_annotated(get_settings().dsn("warehouse")),
        enough=lambda: get_settings().new_annotations_for_training,
    )
]
