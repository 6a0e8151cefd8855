"""What the embeddings tell: copies across the split, labels in doubt, nearest neighbours of an image."""

import dagster as dg

from assets.features import image_cache, image_embeddings
from assets.label_checks import leak_result
from assets.pictures import inline_picture
from assets.run_log import progress_in_log
from assets.tables import table
from inspection.cache import read_cache
from inspection.dataset import TrainingData, read_training_data
from inspection.embeddings import embedding_digest, read_embeddings, read_manifest
from inspection.imaging import Preprocessing
from inspection.near_duplicates import (
    CHECK,
    NearDuplicate,
    duplicate_leak,
    find_near_duplicates,
    read_fingerprints,
)
from inspection.ontology import load_ontology
from inspection.profiles import load_profile
from inspection.settings import get_settings
from inspection.store import ObjectStore
from resources.artifacts import Artifacts

GROUP = "features"
OWNER = "team:learning"
PAIRS_SHOWN = 8
DOUBTS_SHOWN = 20
DOUBTS_DRAWN = 12


@dg.asset_check(
    asset=image_embeddings.key,
    name=CHECK,
    blocking=True,
    description="No photograph is on two sides of the split or in two folds as copies that were encoded "
    "again, resized, made brighter or cropped.",
)
def no_near_duplicates_across_splits(artifacts: Artifacts) -> dg.AssetCheckResult:
    """Looks for copies among the nearest neighbours, pixel by pixel; a leak stops what follows."""
    settings = get_settings()
    store, profile = artifacts.open(settings.artifacts_url), load_profile(settings.profile)
    data = read_training_data(settings.dsn("warehouse"))
    digest = embedding_digest(profile)
    embeddings = read_embeddings(store, data.samples, digest)
    prints = read_fingerprints(store, data, profile.cached_preprocessing)
    found = find_near_duplicates(data.samples, embeddings, prints)
    looked_at = len(prints.keys() & set(embeddings.image_ids))
    leak = duplicate_leak(found, looked_at, len(data.samples))
    pictures = {"pairs": pairs_picture(store, data, found, profile.cached_preprocessing)} if found else {}
    return leak_result(leak, image_embeddings.key, pictures)


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"scikit-learn", "postgres"},
    code_version="1",
    deps=[image_cache, image_embeddings],
    description="One row per image and class whose label a head that has not seen the image doubts "
    "(features.label_error_candidates); for people to look at, nothing is changed by it.",
)
def label_error_candidates(
    context: dg.AssetExecutionContext, artifacts: Artifacts
) -> dg.MaterializeResult[None]:
    """Finds doubtful labels of the five folds by confident learning on the embeddings."""
    from inspection.learning.label_errors import find_label_errors, record_candidates, rows_of

    settings = get_settings()
    store, profile = artifacts.open(settings.artifacts_url), load_profile(settings.profile)
    data, ontology = read_training_data(settings.dsn("warehouse")), load_ontology(settings.ontology_file)
    with progress_in_log(context):
        found = find_label_errors(store, data, ontology, profile)
    record_candidates(settings.dsn("warehouse"), found, data.fingerprint)
    backbone = read_manifest(store, embedding_digest(profile)).backbone
    rows = rows_of(found.candidates, ontology.clean_class.id)
    drawn = doubts_picture(store, data, rows[:DOUBTS_DRAWN], profile.cached_preprocessing)
    return dg.MaterializeResult(
        metadata={
            "status": "found" if found.applicable else "not applicable: no class is told better than chance",
            "candidates": len(rows),
            "images": found.images,
            "backbone": f"{backbone.architecture} ({backbone.weights})",
            "classes": table({**vars(t), "has a say": t.better_than_chance} for t in found.told),
            **({"most doubtful": table(rows[:DOUBTS_SHOWN]), "thumbnails": drawn} if drawn else {}),
        }
    )


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"postgres"},
    code_version="1",
    deps=[image_cache, image_embeddings],
    description="One row per image with its embedding, indexed for nearest neighbours by pgvector "
    "(features.image_embeddings); `vqi similar` reads it.",
)
def embedding_index(context: dg.AssetExecutionContext, artifacts: Artifacts) -> dg.MaterializeResult[None]:
    """Brings the index up to date with the embeddings: what is new, changed or gone."""
    from inspection.embedding_index import update_index

    settings = get_settings()
    store, profile = artifacts.open(settings.artifacts_url), load_profile(settings.profile)
    data = read_training_data(settings.dsn("warehouse"))
    digest = embedding_digest(profile)
    with progress_in_log(context):
        found = update_index(settings.dsn("warehouse"), read_embeddings(store, data.samples, digest), digest)
    return dg.MaterializeResult(metadata={**vars(found), "digest": digest})


neighbour_assets = [label_error_candidates, embedding_index]
neighbour_checks = [no_near_duplicates_across_splits]


def pairs_picture(
    store: ObjectStore, data: TrainingData, found: tuple[NearDuplicate, ...], preprocessing: Preprocessing
) -> dg.MetadataValue:
    """Draws the first pairs, one a row, each image with its side."""
    from inspection.thumbnails import Thumbnail, gallery

    shown = found[:PAIRS_SHOWN]
    ids = {image_id for pair in shown for image_id in (pair.first, pair.second)}
    frames = read_cache(store, data.only(ids).samples, preprocessing)
    thumbnails = []
    for pair in shown:
        told = f"cosine {pair.similarity:.3f}, pixels {pair.agreement:.2f}"
        for image_id, side in ((pair.first, pair.first_side), (pair.second, pair.second_side)):
            thumbnails.append(Thumbnail(frames[image_id].pixels(), f"{image_id}\n{side}; {told}"))
    return inline_picture("pairs", gallery(thumbnails, 2))


def doubts_picture(
    store: ObjectStore, data: TrainingData, rows: list[dict[str, object]], preprocessing: Preprocessing
) -> dg.MetadataValue | None:
    """Draws images in doubt, with the label as given and as suggested; None if there are none."""
    from inspection.thumbnails import Thumbnail, gallery

    frames = read_cache(store, data.only(str(row["image_id"]) for row in rows).samples, preprocessing)
    thumbnails = [
        Thumbnail(
            frames[str(row["image_id"])].pixels(),
            f"{row['image_id']}\ngiven {row['given']}; suggested {row['suggested']} (score {row['score']})",
        )
        for row in rows
    ]
    return inline_picture("thumbnails", gallery(thumbnails, 3)) if thumbnails else None
