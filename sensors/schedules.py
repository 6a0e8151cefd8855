"""What runs by the clock (UTC).

Schedules run from the start: a plant that had to switch on its alarms would run without them.
"""

import dagster as dg

from sensors import jobs as job

RUNNING = dg.DefaultScheduleStatus.RUNNING

schedules = [
    dg.ScheduleDefinition(
        name="every_quarter_of_an_hour",
        job=job.ingest_and_label,
        cron_schedule="*/15 * * * *",
        description="Ingests what changed and renews the labels.",
        default_status=RUNNING,
    ),
    # Between two ticks, as it holds them up. The labels follow with the next tick.
    dg.ScheduleDefinition(
        name="hourly_reconciliation",
        job=job.reconciliation,
        cron_schedule="22 * * * *",
        description="Finds the rows that were deleted at the plant.",
        default_status=RUNNING,
    ),
    dg.ScheduleDefinition(
        name="first_of_the_month",
        job=job.calibration,
        cron_schedule="0 3 1 * *",
        description="Reads the cameras' calibration files.",
        default_status=RUNNING,
    ),
    dg.ScheduleDefinition(
        name="saturday_at_two",
        job=job.training,
        cron_schedule="0 2 * * 6",
        description="Trains on a new split release.",
        default_status=RUNNING,
    ),
    # Between two ticks too.
    dg.ScheduleDefinition(
        name="daily_at_five",
        job=job.profile,
        cron_schedule="37 5 * * *",
        description="Draws what the labelled data look like, and looks for lines that got worse.",
        default_status=RUNNING,
    ),
    # Seven minutes past, when no ingestion begins: both build dbt models.
    dg.ScheduleDefinition(
        name="hourly",
        job=job.monitoring,
        cron_schedule="7 * * * *",
        description="Holds the alert rules against what the line did.",
        default_status=RUNNING,
    ),
]
