"""One warehouse for all tests of the models: dbt starts slowly."""

from __future__ import annotations

import pytest

from inspection.settings import Settings
from inspection.splits import newest_labelled, release_split
from tests.conftest import fresh_settings
from tests.dbt.generated import generated_plant
from tests.dbt.plant import dbt


@pytest.fixture(scope="session")
def built(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A plant with its labels, its split released and its training set."""
    settings = fresh_settings(postgres, tmp_path_factory.mktemp("built"))
    generated_plant().load(settings)
    dbt(settings, "build", "--exclude", "tag:training tag:monitoring")
    dsn = settings.dsn("warehouse")
    release_split(dsn, newest_labelled(dsn), "chronological", 180)
    dbt(settings, "build", "--select", "tag:training tag:monitoring")
    return settings
