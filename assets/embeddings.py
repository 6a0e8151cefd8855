"""Embeddings: each image as the vector of a frozen network, and the cheap baseline that stands on them."""

import dagster as dg

from assets.baselines import train_baseline
from assets.run_log import progress_in_log
from inspection.dataset import read_training_data
from inspection.embeddings import read_manifest
from inspection.profiles import load_profile
from inspection.settings import get_settings
from resources.artifacts import Artifacts

OWNER = "team:learning"


@dg.asset(
    group_name="features",
    owners=[OWNER],
    kinds={"pytorch", "parquet"},
    code_version="1",
    deps=["image_cache"],
    description="One vector per image of the training dataset, of a frozen network (shards by day).",
)
def image_embeddings(context: dg.AssetExecutionContext, artifacts: Artifacts) -> dg.MaterializeResult[None]:
    """Embeds cached images that have no vector yet, here or on the Ray cluster of ``RAY_ADDRESS``."""
    from inspection.learning.embedding import embed_images

    settings = get_settings()
    store, profile = artifacts.open(settings.artifacts_url), load_profile(settings.profile)
    data = read_training_data(settings.dsn("warehouse"))
    with progress_in_log(context):
        found = embed_images(store, data.samples, profile, settings.ray_address)
    backbone = read_manifest(store, found.digest).backbone
    return dg.MaterializeResult(
        metadata={
            "images": found.images,
            "added": found.added,
            "without": len(data.samples) - found.images,
            "shards written": found.shards,
            "images per second": found.images_per_second,
            "backbone": backbone.architecture,
            "weights": backbone.weights,
            "weights SHA-256": backbone.weights_sha256,
            "dimensions": backbone.dimensions,
            "digest": found.digest,
            "folder": f"{store.url}/embeddings/{found.digest}",
        },
    )


@dg.asset(
    group_name="training",
    owners=[OWNER],
    kinds={"scikit-learn"},
    code_version="1",
    deps=[image_embeddings],
    io_manager_key="record_ids",
    description="What a logistic regression per class on the embeddings says of the test set "
    "(a BaselineResult in the object store).",
)
def light_head(context: dg.AssetExecutionContext) -> dg.MaterializeResult[str]:
    """Trains the baseline that each model is compared with."""
    from inspection.learning.light_head import train_light_head

    return train_baseline(context, get_settings(), train_light_head)


embedding_assets = [image_embeddings, light_head]
