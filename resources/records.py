"""How an asset hands a record to the next one: the object store keeps it, the event log knows which."""

from __future__ import annotations

import dagster as dg

from inspection.errors import InsufficientDataError

RECORD = "record"


class RecordIds(dg.IOManager):
    """Passes on the id of a record or bundle, which stands in the metadata of the materialization.

    Nothing else is stored, so what an asset reads is what the Dagster UI shows of its input.
    """

    def handle_output(self, context: dg.OutputContext, obj: str) -> None:
        """Puts the id into the metadata."""
        context.add_output_metadata({RECORD: obj})

    def load_input(self, context: dg.InputContext) -> str:
        """Returns the id that the newest materialization of the asset told; raises as `record_id`."""
        return record_id(context.instance, context.asset_key)


def record_id(instance: dg.DagsterInstance, asset: dg.AssetKey) -> str:
    """Returns the id that the newest materialization of an asset told.

    Raises:
        InsufficientDataError: the asset has not been made yet.
    """
    event = instance.get_latest_materialization_event(asset)
    made = event.asset_materialization if event else None
    if made is None:
        raise InsufficientDataError(f"{asset.to_user_string()} has not been made yet: materialize it first")
    return str(made.metadata[RECORD].value)
