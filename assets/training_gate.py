"""The gate before training: what the warehouse says now, and what dbt's tests said last."""

import dagster as dg
from dagster import DagsterInstance

from assets.marts import label_models
from inspection.label_quality import load_limits
from inspection.settings import Settings
from inspection.training_gate import Fault, find_faults, refuse_training
from resources.checks import last_evaluations


def failed_label_tests(instance: DagsterInstance) -> tuple[Fault, ...]:
    """Finds the tests of the label models that failed the last time they ran, in whichever run.

    dbt keeps the table of which a test fails, and a later run would learn from it.
    """
    return tuple(
        Fault(key.name, f"a test of {key.asset_key.to_user_string()}")
        for key, told in last_evaluations(instance, label_models.check_keys).items()
        if not told.passed and told.severity is dg.AssetCheckSeverity.ERROR
    )


def hold_training(instance: DagsterInstance, settings: Settings) -> None:
    """Refuses to train on labels that a blocking check or test objects to, in this run or an earlier one.

    Raises:
        CheckFailedError: there is such an objection; the message names each.
    """
    limits = load_limits(settings.label_limits_file)
    faults = find_faults(settings.dsn("warehouse"), limits, settings.profile)
    refuse_training([*faults, *failed_label_tests(instance)])
