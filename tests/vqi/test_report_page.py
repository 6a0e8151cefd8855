"""The page of a report is found by model or report and written where one wants it."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.errors import RegistryError, StoreError
from inspection.learning.packaging import make_bundle
from inspection.settings import Settings
from inspection.store import ObjectStore, open_store
from tests.inspection.bundles import ONTOLOGY, add_bundle
from tests.inspection.judged import put_report
from vqi.report_page import find_report, write_page


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def store(home: Settings) -> ObjectStore:
    return open_store(home.artifacts_url)


def test_a_report_is_found_by_its_model_and_by_its_own_id(home: Settings, store: ObjectStore) -> None:
    reports = [put_report(store, seed) for seed in (7, 8)]
    bundles = [make_bundle(store, report, ONTOLOGY)[0] for report in reports]
    for report, bundle in zip(reports, bundles, strict=True):
        assert find_report(home, store, bundle) == report
        assert find_report(home, store, bundle[:12]) == report
        assert find_report(home, store, report) == report
        assert find_report(home, store, report[:12]) == report


def test_what_is_not_there_or_not_clear_is_told(home: Settings, store: ObjectStore) -> None:
    with pytest.raises(RegistryError, match="there is no model 'abc'"):
        find_report(home, store, "abc")
    bundle = add_bundle(store)
    with pytest.raises(StoreError, match="no test report of model"):
        find_report(home, store, bundle)
    reports = [put_report(store, seed) for seed in range(17)]  # two at least begin with the same digit
    first = max("0123456789abcdef", key=lambda digit: sum(r.startswith(digit) for r in reports))
    with pytest.raises(RegistryError, match="give more of the id"):
        find_report(home, store, first)


def test_the_page_is_written_to_the_home_or_where_it_is_wanted(
    home: Settings, store: ObjectStore, tmp_path: Path
) -> None:
    report = put_report(store)
    assert write_page(home, store, report) == home.root / "reports" / f"{report[:12]}.html"
    wanted = tmp_path / "here" / "page.html"
    assert write_page(home, store, report, wanted) == wanted
    assert wanted.read_text(encoding="utf-8") == "<p>a page</p>"
