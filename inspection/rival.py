"""The model that a new one is compared with: the one in production, on parts that neither has learnt from."""

from __future__ import annotations

from dataclasses import dataclass

from inspection.bundle import read_manifest
from inspection.registry import ModelRegistry
from inspection.splits import learnt_orders


@dataclass(frozen=True)
class Rival:
    """Who is compared, or why nobody is.

    Attributes:
        bundle: id of the model in production; None with a `reason`.
        learnt_orders: production orders of which it has seen a part in training or validation.
        reason: why there is no comparison; None with a `bundle`.
    """

    bundle: str | None = None
    learnt_orders: frozenset[str] = frozenset()
    reason: str | None = "no model is in production"


NO_RIVAL = Rival()


def find_rival(dsn: str, registry: ModelRegistry) -> Rival:
    """Finds the model in production and what it has learnt from.

    Args:
        dsn: libpq URI of the warehouse, which knows the split releases.
        registry: knows what is in production.

    Raises:
        BundleError: the model in production is damaged.
    """
    bundle = registry.production()
    if bundle is None:
        return NO_RIVAL
    release = read_manifest(registry.store, bundle).split_release
    orders = learnt_orders(dsn, release)
    if orders is None:
        unknown = f"this warehouse has no split release {release[:12]}, of the production model {bundle[:12]}"
        return Rival(reason=f"{unknown}: nobody knows which parts it learnt from")
    return Rival(bundle, orders, None)
