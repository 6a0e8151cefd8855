"""What asset checks said the last time they had an answer, in whichever run."""

from collections.abc import Iterable

from dagster import AssetCheckEvaluation, AssetCheckKey, DagsterInstance


def last_evaluations(
    instance: DagsterInstance, keys: Iterable[AssetCheckKey]
) -> dict[AssetCheckKey, AssetCheckEvaluation]:
    """Returns the newest answer of each check, sorted by its key.

    A run that is under way, or that was killed, has planned its checks and says nothing of them: what
    they said before that still stands. A check that has never answered is left out.
    """
    found = {}
    summaries = instance.event_log_storage.get_asset_check_summary_records(list(keys))
    for key, summary in sorted(summaries.items(), key=lambda item: item[0].to_user_string()):
        record = summary.last_completed_check_execution_record
        told = record.event.asset_check_evaluation if record and record.event else None
        if told is not None:
            found[key] = told
    return found
