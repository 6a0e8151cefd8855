"""The code location loads, every asset is documented, and nothing comes or goes unnoticed."""

from __future__ import annotations

import difflib

import pytest
from dagster import AssetSpec, Definitions

from definitions import defs
from tests.house.snapshot import SNAPSHOT, describe


@pytest.fixture(scope="module")
def specs() -> list[AssetSpec]:
    return list(defs.resolve_all_asset_specs())


def test_definitions_load() -> None:
    Definitions.validate_loadable(defs)


def test_every_asset_is_documented(specs: list[AssetSpec]) -> None:
    missing = [
        f"{spec.key.to_user_string()}: {name}"
        for spec in specs
        for name, there in {
            "description": (spec.description or "").strip(),
            "group": spec.group_name not in (None, "default"),
            "owners": any(owner.startswith("team:") for owner in spec.owners),
            "kinds": spec.kinds,
        }.items()
        if not there
    ]
    assert specs
    assert not missing, f"say it where the asset is defined: {missing}"


def test_nothing_comes_or_goes_unnoticed() -> None:
    kept = SNAPSHOT.read_text(encoding="utf-8")
    change = "\n".join(
        difflib.unified_diff(kept.splitlines(), describe(defs).splitlines(), "kept", "now", n=0)
    )
    assert not change, f"if this is meant, run `python -m tests.house.snapshot` and commit:\n{change}"
