"""The plant's databases, empty, on a real server."""

from __future__ import annotations

import pytest

from inspection.ingestion.tables import TABLES
from inspection.settings import Settings
from tests.inspection.ingestion.plant import SCHEMA, database


@pytest.fixture
def plant(settings: Settings) -> Settings:
    for name in TABLES:
        with database(settings, name) as cursor:
            cursor.execute(SCHEMA)
    return settings
