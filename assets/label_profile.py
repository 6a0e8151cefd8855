"""The label profile: what the labelled data look like, as pictures and tables in the Dagster UI."""

from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg

from assets.pictures import inline_picture
from assets.tables import table
from inspection.label_profile import LineTrend, read_profile
from inspection.settings import get_settings

GROUP = "profile"
OWNER = "team:data"
MARTS = ("labels_by_plant", "defect_rates_by_line", "line_defect_trends", "camera_shares", "missing_values")


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python"},
    code_version="1",
    deps=[["marts", name] for name in MARTS],
    description=(
        "Pictures of the labelled data, one a question: labels by plant, defects by line with their trend, "
        "shares of cameras, missing values. The marts of the same group hold the numbers."
    ),
)
def label_profile() -> dg.MaterializeResult[None]:
    """Draws the profile of what is labelled now."""
    from inspection import profile_plots

    found = read_profile(get_settings().dsn("warehouse"))
    pictures = {
        "labels by plant": profile_plots.labels_by_plant(found.plants),
        "defects by line and week": profile_plots.rates_by_week(found.weeks, found.trends),
        "newest defects by line": profile_plots.line_comparison(found.trends),
        "cameras": profile_plots.camera_shares(found.cameras),
        "missing values": profile_plots.missing_values(found.missing),
    }
    return dg.MaterializeResult(
        metadata={
            **{name: inline_picture(name, picture) for name, picture in pictures.items()},
            "elevated": len(found.elevated),
            **({"lines": table(map(asdict, found.trends))} if found.trends else {}),
        }
    )


@dg.asset_check(
    asset=label_profile,
    description=(
        "No line has more of a defect than the other lines in the newest days, beyond what chance gives "
        "among all lines and classes."
    ),
)
def no_line_elevated() -> dg.AssetCheckResult:
    """Names the lines with an elevated defect rate; it is for people to look into, and stops nothing."""
    return elevated_result(read_profile(get_settings().dsn("warehouse")).trends)


profile_assets = [label_profile]
profile_checks = [no_line_elevated]


def elevated_result(trends: Sequence[LineTrend]) -> dg.AssetCheckResult:
    """Returns what the check says of the lines, with what it rests on."""
    elevated = [trend for trend in trends if trend.elevated]
    compared = sum(trend.elevated_p is not None for trend in trends)
    told = "; ".join(
        f"{t.line_id}: {t.defect_class} on {t.recent_defective} of {t.recent_images} images, elsewhere on "
        f"{t.other_defective} of {t.other_images}{', and rising' if t.rising else ''}"
        for t in elevated
    )
    return dg.AssetCheckResult(
        passed=not elevated,
        severity=dg.AssetCheckSeverity.WARN,
        description=told
        or (f"none of {compared} comparisons" if compared else "not applicable: too few images"),
        metadata={
            "status": ("failed" if elevated else "passed") if compared else "not applicable",
            "value": len(elevated),
            "threshold": 0,
            **({"evidence": table(map(asdict, elevated))} if elevated else {}),
        },
    )
