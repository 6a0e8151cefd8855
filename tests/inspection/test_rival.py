"""Who is compared with a new model, and what that one has learnt from."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.registry import ModelRegistry
from inspection.rival import NO_RIVAL, find_rival
from inspection.settings import Settings
from inspection.splits import learnt_orders
from inspection.store import LocalStore
from inspection.warehouse import transaction
from tests.inspection.bundles import add_bundle

RELEASES = """
insert into releases.split_releases (release_id, as_of, policy, window_days) values
    ('r1', now(), 'chronological', 180), ('r2', now(), 'chronological', 180);
insert into releases.split_assignments (release_id, image_id, production_order_id, split, fold_id) values
    ('r1', 'a', 'o1', 'train', 1), ('r1', 'b', 'o1', 'train', 1), ('r1', 'c', 'o2', 'validation', 5),
    ('r1', 'd', 'o3', 'test', null), ('r1', 'e', 'o4', 'dropped', null), ('r2', 'd', 'o3', 'train', 2);
"""


@pytest.fixture
def dsn(settings: Settings) -> str:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(RELEASES)
    return settings.dsn("warehouse")


def test_orders_of_training_and_validation_were_learnt_from(dsn: str) -> None:
    assert learnt_orders(dsn, "r1") == {"o1", "o2"}
    assert learnt_orders(dsn, "r2") == {"o3"}
    assert learnt_orders(dsn, "elsewhere") is None


def test_the_rival_is_the_model_in_production(dsn: str, tmp_path: Path) -> None:
    registry = ModelRegistry(LocalStore(tmp_path))
    assert find_rival(dsn, registry) == NO_RIVAL
    bundle = add_bundle(registry.store)  # of release r1
    assert find_rival(dsn, registry) == NO_RIVAL
    registry.approve(bundle, actor="ada", reason="trial")
    found = find_rival(dsn, registry)
    assert (found.bundle, found.learnt_orders, found.reason) == (bundle, {"o1", "o2"}, None)


def test_a_production_model_of_another_warehouse_is_not_compared(settings: Settings, tmp_path: Path) -> None:
    registry = ModelRegistry(LocalStore(tmp_path))
    registry.approve(add_bundle(registry.store), actor="ada", reason="trial")
    found = find_rival(settings.dsn("warehouse"), registry)
    assert found.bundle is None
    assert "no split release r1" in (found.reason or "")
