"""Features: what the network sees of each image, decoded once, and each image as a vector."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg
from psycopg2.extras import execute_values

from assets.label_checks import leak_result
from assets.run_log import progress_in_log
from assets.tables import table
from inspection.cache import CacheReport, Unreadable, build_cache
from inspection.dataset import Sample, read_training_data
from inspection.embeddings import EmbeddingReport, read_manifest
from inspection.image_files import CHECK, camera_quality, find_file_leak, record_files
from inspection.profiles import Profile, load_profile
from inspection.settings import Settings, get_settings
from inspection.store import ObjectStore
from inspection.warehouse import transaction
from resources.artifacts import Artifacts

Metadata = Mapping[str, Any]

GROUP = "features"
OWNER = "team:learning"
MAX_UNREADABLE_SHARE = 0.02
"""More unreadable images than this point to a wrong image root or a broken disk, not to bad files."""


image_cache = dg.AssetSpec(
    "image_cache",
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python", "parquet"},
    code_version="3",
    deps=[["marts", "training_dataset"], ["marts", "fct_image_boxes"]],
    description=(
        "One row per image of the training dataset: what the network sees of it, its file's hash and size, "
        "how sharp and how well exposed it is (shards by day)."
    ),
)
image_embeddings = dg.AssetSpec(
    "image_embeddings",
    group_name=GROUP,
    owners=[OWNER],
    kinds={"pytorch", "parquet"},
    code_version="1",
    deps=[image_cache],
    description="One vector per image of the training dataset, of a frozen network (shards by day).",
)


@dg.multi_asset(specs=[image_cache, image_embeddings], can_subset=True)
def image_features(
    context: dg.AssetExecutionContext, artifacts: Artifacts
) -> Iterator[dg.MaterializeResult[None]]:
    """Decodes what is not cached yet and embeds what has no vector yet: both in one pass.

    Embeds here, or on the Ray cluster of ``RAY_ADDRESS``.
    """
    settings = get_settings()
    store, profile = artifacts.open(settings.artifacts_url), load_profile(settings.profile)
    samples = read_training_data(settings.dsn("warehouse")).samples
    with progress_in_log(context):
        cached, embedded = _update(store, samples, profile, settings, context.selected_asset_keys)
    if cached is not None:
        record_unreadable(settings.dsn("warehouse"), cached.unreadable)
        record_files(settings.dsn("warehouse"), samples, cached.files)
        metadata = _cache_metadata(store, samples, profile, cached)
        yield dg.MaterializeResult(asset_key=image_cache.key, metadata=metadata)
    if embedded is not None:
        metadata = _embedding_metadata(store, len(samples), embedded)
        yield dg.MaterializeResult(asset_key=image_embeddings.key, metadata=metadata)


@dg.asset_check(
    asset=image_cache.key,
    blocking=True,
    description=f"At most {MAX_UNREADABLE_SHARE:.0%} of the images of the training dataset are unreadable.",
)
def mostly_readable() -> dg.AssetCheckResult:
    """Counts the images of the training dataset that reading found missing or damaged."""
    with transaction(get_settings().dsn("warehouse")) as cursor:
        cursor.execute(
            """
            select count(unreadable.image_id), count(*)
            from marts.training_dataset as dataset
            left join features.unreadable_images as unreadable on unreadable.image_id = dataset.image_id
            """
        )
        ((unreadable, images),) = cursor.fetchall()
    share = unreadable / max(images, 1)
    return dg.AssetCheckResult(
        passed=share <= MAX_UNREADABLE_SHARE,
        description=f"{unreadable} of {images} images cannot be read",
        metadata={"value": share, "threshold": MAX_UNREADABLE_SHARE},
    )


@dg.asset_check(
    asset=image_cache.key,
    name=CHECK,
    blocking=True,
    description="No content of an image file, by its SHA-256, is on two sides of the split or in two folds.",
)
def no_file_on_two_sides() -> dg.AssetCheckResult:
    """Looks for copies of a file under other names; a leak stops what follows."""
    return leak_result(find_file_leak(get_settings().dsn("warehouse")), image_cache.key)


# `image_cache` writes it; the labels of the next tick leave these images out, and so it stands among them.
unreadable_images = dg.AssetSpec(
    ["features", "unreadable_images"],
    group_name="labels",
    owners=[OWNER],
    kinds={"postgres"},
    description="One row per image that reading found missing or damaged, with the reason.",
)

feature_assets: list[dg.AssetsDefinition | dg.AssetSpec] = [image_features, unreadable_images]
feature_checks = [mostly_readable, no_file_on_two_sides]


def record_unreadable(dsn: str, images: tuple[Unreadable, ...]) -> None:
    """Makes ``features.unreadable_images`` hold exactly these images."""
    with transaction(dsn) as cursor:
        kept = [image.image_id for image in images]
        cursor.execute("delete from features.unreadable_images where image_id <> all(%s)", (kept,))
        execute_values(
            cursor,
            """
            insert into features.unreadable_images (image_id, image_path, reason) values %s
            on conflict (image_id) do update
            set image_path = excluded.image_path, reason = excluded.reason, seen_at = clock_timestamp()
            """,
            [(image.image_id, image.image_path, image.reason) for image in images],
        )


def _update(
    store: ObjectStore,
    samples: Sequence[Sample],
    profile: Profile,
    settings: Settings,
    wanted: AbstractSet[dg.AssetKey],
) -> tuple[CacheReport | None, EmbeddingReport | None]:
    if image_embeddings.key not in wanted:
        return build_cache(store, samples, profile.cached_preprocessing, settings.images), None
    from inspection.learning.embedding import cache_and_embed, embed_images

    if image_cache.key not in wanted:
        return None, embed_images(store, samples, profile, settings.ray_address)
    return cache_and_embed(store, samples, profile, settings.images, settings.ray_address)


def _cache_metadata(
    store: ObjectStore, samples: Sequence[Sample], profile: Profile, found: CacheReport
) -> Metadata:
    kept, cameras = profile.cached_preprocessing, camera_quality(samples, found.files)
    return {
        "images": found.images,
        "added": found.added,
        "shards written": found.shards,
        "unreadable": len(found.unreadable),
        "frame": f"{kept.height} x {kept.width} pixels",
        "folder": f"{store.url}/{found.folder}",
        **({"quality by camera": table(cameras)} if cameras else {}),
    }


def _embedding_metadata(store: ObjectStore, samples: int, found: EmbeddingReport) -> Metadata:
    backbone = read_manifest(store, found.digest).backbone
    return {
        "images": found.images,
        "added": found.added,
        "without": samples - found.images,
        "shards written": found.shards,
        "images per second": found.images_per_second,
        "backbone": backbone.architecture,
        "weights": backbone.weights,
        "weights SHA-256": backbone.weights_sha256,
        "dimensions": backbone.dimensions,
        "digest": found.digest,
        "folder": f"{store.url}/embeddings/{found.digest}",
    }
