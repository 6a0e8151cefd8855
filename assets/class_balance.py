"""How the classes stand against each other in the newest training set, as a table in the Dagster UI."""

from dataclasses import asdict

import dagster as dg

from assets.tables import table
from inspection.balance import read_balance
from inspection.settings import get_settings

CLASS_BALANCE = dg.AssetKey(["marts", "class_balance"])


@dg.asset_check(
    asset=CLASS_BALANCE,
    description="Every class of the ontology has images in training, validation and test (primary labels).",
)
def every_class_on_every_side() -> dg.AssetCheckResult:
    """Tells raw, balanced and dealt images by class, and which class a side lacks."""
    balance = read_balance(get_settings().dsn("warehouse"))
    missing = [f"{each.scope} in {', '.join(each.missing)}" for each in balance if each.missing]
    return dg.AssetCheckResult(
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"no image of {'; '.join(missing)}" if missing else "no side lacks a class",
        metadata={"balance": table(map(asdict, balance))},
    )


balance_checks = [every_class_on_every_side]
