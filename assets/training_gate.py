"""The gate before training: what the warehouse says now, and what dbt's tests said last."""

import dagster as dg
from dagster import AssetCheckKey, DagsterInstance
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from assets.marts import label_models
from inspection.label_quality import load_limits
from inspection.settings import Settings
from inspection.training_gate import Fault, find_faults, refuse_training

# A run that is under way, or that was killed, has planned its checks and says nothing of them.
COMPLETED = frozenset({AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED})


def failed_label_tests(instance: DagsterInstance) -> tuple[Fault, ...]:
    """Finds the tests of the label models that failed the last time they ran, in whichever run.

    dbt keeps the table of which a test fails, and a later run would learn from it.
    """
    found = []
    for key in sorted(label_models.check_keys, key=AssetCheckKey.to_user_string):
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=COMPLETED)
        event = history[0].event if history else None
        told = event.asset_check_evaluation if event else None
        if told is not None and not told.passed and told.severity is dg.AssetCheckSeverity.ERROR:
            found.append(Fault(key.name, f"a test of {key.asset_key.to_user_string()}"))
    return tuple(found)


def hold_training(instance: DagsterInstance, settings: Settings) -> None:
    """Refuses to train on labels that a blocking check or test objects to, in this run or an earlier one.

    Raises:
        CheckFailedError: there is such an objection; the message names each.
    """
    limits = load_limits(settings.label_limits_file)
    faults = find_faults(settings.dsn("warehouse"), limits, settings.profile)
    refuse_training([*faults, *failed_label_tests(instance)])
