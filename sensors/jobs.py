"""The jobs: which assets are materialized together."""

import dagster as dg

Selection = dg.AssetSelection

CALIBRATION = Selection.key_prefixes(["raw", "calibration"])
DELETIONS = Selection.key_prefixes(["deletions"])
# Splits are released for a training, and not with each tick: what was test stays test until then.
SPLIT = Selection.assets("split_release").downstream() & Selection.groups("labels")

# A run whose process died goes on from its last checkpoint; one that was refused (a closed gate, too little
# data) would be refused again.
LIMITS = {
    "dagster/max_runtime": str(4 * 3600),
    "dagster/max_retries": "2",
    "dagster/retry_on_asset_or_op_failure": "false",
}

ingest_and_label = dg.define_asset_job(
    "ingest_and_label",
    Selection.groups("ingestion", "labels") - CALIBRATION - DELETIONS - SPLIT,
    description="What changed at the plant, and the labels that follow from it.",
)
calibration = dg.define_asset_job(
    "calibration",
    CALIBRATION,
    description="The cameras' calibration files.",
)
reconciliation = dg.define_asset_job(
    "reconciliation",
    DELETIONS,
    description="What has been deleted at the plant, found by comparing all keys.",
)
profile = dg.define_asset_job(
    "profile",
    Selection.groups("profile"),
    description="What the labelled data look like, and lines whose defect rate is elevated.",
)
training = dg.define_asset_job(
    "training",
    SPLIT | Selection.groups("features", "training", "evaluation", "deployment"),
    description="From a new split release and the training dataset to a candidate for deployment.",
    tags=LIMITS,
)
monitoring = dg.define_asset_job(
    "monitoring",
    Selection.groups("monitoring"),
    description="What the line did, and the alert rules held against it.",
)
everything = dg.define_asset_job(
    "everything",
    Selection.all(),
    description="Every asset, from the plant's tables to the alerts.",
)

jobs = [ingest_and_label, calibration, reconciliation, profile, training, monitoring, everything]
