"""Features: what the network sees of each image, decoded once."""

import dagster as dg
from psycopg2.extras import execute_values

from assets.label_checks import leak_result
from assets.tables import table
from inspection.cache import Unreadable, build_cache
from inspection.dataset import read_training_data
from inspection.image_files import CHECK, camera_quality, find_file_leak, record_files
from inspection.profiles import load_profile
from inspection.settings import get_settings
from inspection.warehouse import transaction
from resources.artifacts import Artifacts

GROUP = "features"
OWNER = "team:learning"
MAX_UNREADABLE_SHARE = 0.02
"""More unreadable images than this point to a wrong image root or a broken disk, not to bad files."""


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python", "parquet"},
    code_version="2",
    deps=[["marts", "training_dataset"], ["marts", "fct_image_boxes"]],
    description=(
        "One row per image of the training dataset: what the network sees of it, its file's hash and size, "
        "how sharp and how well exposed it is (shards by day)."
    ),
)
def image_cache(artifacts: Artifacts) -> dg.MaterializeResult[None]:
    """Decodes what is not in the cache yet."""
    settings = get_settings()
    dsn = settings.dsn("warehouse")
    data, profile = read_training_data(dsn), load_profile(settings.profile)
    store, kept = artifacts.open(settings.artifacts_url), profile.cached_preprocessing
    found = build_cache(store, data.samples, kept, settings.images)
    record_unreadable(dsn, found.unreadable)
    record_files(dsn, data.samples, found.files)
    cameras = camera_quality(data.samples, found.files)
    return dg.MaterializeResult(
        metadata={
            "images": found.images,
            "added": found.added,
            "shards written": found.shards,
            "unreadable": len(found.unreadable),
            "frame": f"{kept.height} x {kept.width} pixels",
            "folder": f"{store.url}/{found.folder}",
            **({"quality by camera": table(cameras)} if cameras else {}),
        },
    )


@dg.asset_check(
    asset=image_cache,
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
    asset=image_cache,
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

feature_assets: list[dg.AssetsDefinition | dg.AssetSpec] = [image_cache, unreadable_images]
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
