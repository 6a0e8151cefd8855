"""Labels: the taxonomy in force and the released split; the dbt models between them are in `assets.marts`."""

from datetime import UTC, datetime

import dagster as dg

from inspection.publication import publish
from inspection.settings import get_settings
from inspection.splits import newest_labelled, parse_policy, release_split

GROUP = "labels"
OWNER = "team:data"


class SplitConfig(dg.Config):
    """Which split to release; what is left out follows the settings.

    Attributes:
        as_of: date and time, UTC unless it names a zone; without it that of the newest labelled image.
        policy: ``chronological`` or ``grouped``.
        window_days: how far back the images may lie.
    """

    as_of: str | None = None
    policy: str | None = None
    window_days: int | None = None


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python", "postgres"},
    code_version="1",
    description="One row per publication of the taxonomy (ontology.published); the newest is in force.",
)
def ontology() -> dg.MaterializeResult[None]:
    """Publishes the ontology file when it differs from what is in force."""
    settings = get_settings()
    published = publish(settings.dsn("warehouse"), settings.ontology_file)
    return dg.MaterializeResult(
        metadata={
            "ontology": published.ontology.ontology,
            "version": published.ontology.version,
            "sha256": published.sha256,
            "classes": len(published.ontology.classes),
            "safety-critical": ", ".join(published.ontology.safety_critical_ids) or "none",
            "newly published": published.new,
            "rows to move from quarantine": sum(published.freed.values()),
        }
    )


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python", "postgres"},
    code_version="1",
    deps=[["intermediate", "int_split_deal"], ["intermediate", "int_images"], ["marts", "fct_image_labels"]],
    description=(
        "One row per release and labelled image (releases.split_assignments): its side and fold, "
        "dealt by dbt, frozen for one date, never changed."
    ),
)
def split_release(config: SplitConfig) -> dg.MaterializeResult[None]:
    """Releases the split of one date."""
    settings = get_settings()
    dsn = settings.dsn("warehouse")
    released = release_split(
        dsn,
        _instant(config.as_of) if config.as_of else newest_labelled(dsn),
        parse_policy(config.policy) if config.policy else settings.split_policy,
        config.window_days or settings.split_window_days,
    )
    return dg.MaterializeResult(
        metadata={
            "release": released.release_id,
            "as of": released.as_of.isoformat(),
            "policy": released.policy,
            "window in days": released.window_days,
            "newly released": released.new,
            **{f"{side} images": count for side, count in released.sizes.items()},
        }
    )


# `split_release` writes it too; were it that asset's own table, what is dealt would depend on itself.
split_releases = dg.AssetSpec(
    ["releases", "split_releases"],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"postgres"},
    description="One row per split release: its date, policy and window.",
)

label_assets: list[dg.AssetsDefinition | dg.AssetSpec] = [ontology, split_release, split_releases]


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
