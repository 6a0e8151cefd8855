"""From the outbox to the warehouse, whatever happens in between."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from inspection.settings import Settings
from inspection.warehouse import transaction
from serving.forwarder import Forwarder, send_batch
from serving.outbox import Outbox
from tests.serving.test_outbox import for_person, prediction, review


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite")


@pytest.fixture
def settings(module_settings: Settings) -> Settings:
    """Settings on a warehouse that is empty again."""
    with transaction(module_settings.dsn("warehouse")) as cursor:
        cursor.execute("truncate inference.predictions, inference.reviews")
    return module_settings


def rows(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with transaction(settings.dsn("warehouse")) as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_every_column_arrives_as_it_was(outbox: Outbox, settings: Settings) -> None:
    defect = {
        "class": "BURR",
        "confidence": 0.75,
        "severity": "minor",
        "bounding_box": {"x": 1, "y": 2, "width": 3, "height": 4},
        "area_percentage": 0.5,
    }
    sent = prediction(7, prediction="FAIL", defects=[defect], captured_at="2026-02-28T14:30:22.451+02:00")
    outbox.add(sent)
    outbox.add_review(review(8, inspection=7))
    with closing(psycopg2.connect(settings.dsn("warehouse"))) as warehouse:
        assert send_batch(outbox, warehouse, "predictions") == 1
        assert send_batch(outbox, warehouse, "reviews") == 1
        assert send_batch(outbox, warehouse, "reviews") == 0

    (row,) = rows(settings, "select to_jsonb(p) - 'stored_at' from inference.predictions p")
    stored = row[0]
    assert stored.pop("captured_at").startswith("2026-02-28T12:30:22.451")
    assert stored.pop("predicted_at")
    told = sent.model_dump(mode="json", by_alias=True, exclude={"captured_at", "predicted_at"})
    assert stored == told
    query = "select inspector_id, key_name, decision, inspection_id::text from inference.reviews"
    assert rows(settings, query) == [("anna", "station-1", "PASS", str(uuid.UUID(int=7)))]


def test_a_batch_sent_twice_is_stored_once(outbox: Outbox, settings: Settings) -> None:
    for number in range(3):
        outbox.add(prediction(number))
    with closing(psycopg2.connect(settings.dsn("warehouse"))) as warehouse:
        send_batch(outbox, warehouse, "predictions")
        outbox._file.db.execute("update predictions set sent_at = null")  # killed before it could be marked
        outbox.add(prediction(3))
        assert send_batch(outbox, warehouse, "predictions") == 4
    assert rows(settings, "select count(*) from inference.predictions") == [(4,)]


def test_a_record_that_the_warehouse_refuses_does_not_stop_the_others(
    outbox: Outbox, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        outbox.add(prediction(number))
    outbox._file.db.execute(
        "update predictions set record = replace(record, 'PASS', 'NONSENSE') where sequence = 2"
    )
    with closing(psycopg2.connect(settings.dsn("warehouse"))) as warehouse:
        assert send_batch(outbox, warehouse, "predictions") == 3
        assert send_batch(outbox, warehouse, "predictions") == 0
    assert rows(settings, "select image_id from inference.predictions order by 1") == [("img-0",), ("img-2",)]
    assert "refuses a record" in caplog.text


def test_a_record_that_does_not_parse_does_not_stop_the_others(outbox: Outbox, settings: Settings) -> None:
    for number in range(3):
        outbox.add(prediction(number))
    outbox._file.db.execute("drop index parts")  # which would not let it in: a disk asks nobody
    outbox._file.db.execute("update predictions set record = '{' where sequence = 2")
    with closing(psycopg2.connect(settings.dsn("warehouse"))) as warehouse:
        assert send_batch(outbox, warehouse, "predictions") == 3
    assert rows(settings, "select image_id from inference.predictions order by 1") == [("img-0",), ("img-2",)]
    assert outbox.count_unsent() == 0


def test_it_outlives_what_nobody_thought_of(
    outbox: Outbox,
    settings: Settings,
    until: Callable[[Callable[[], bool]], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "unsent", lambda *_: 1 / 0)
        outbox.add(prediction(1))
        forwarder = Forwarder(outbox, settings)
        forwarder.start()
        until(lambda: "ZeroDivisionError" in caplog.text)
    until(lambda: outbox.count_unsent() == 0)
    forwarder.stop()


def test_it_waits_for_an_outbox_whose_disk_fails(
    outbox: Outbox,
    settings: Settings,
    until: Callable[[Callable[[], bool]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox.add(prediction(1))
    outbox._file.db.execute("pragma query_only = on")  # as on a disk that has become read-only
    forwarder = Forwarder(outbox, settings)
    forwarder.start()
    until(lambda: "the outbox cannot be written" in caplog.text)
    outbox._file.db.execute("pragma query_only = off")
    until(lambda: outbox.count_unsent() == 0)
    forwarder.stop()
    assert rows(settings, "select count(*) from inference.predictions") == [(1,)]


def test_it_forwards_what_comes_and_ends_when_told(
    outbox: Outbox, settings: Settings, until: Callable[[Callable[[], bool]], None]
) -> None:
    forwarder = Forwarder(outbox, settings)
    outbox.add(prediction(1))
    forwarder.start()
    until(lambda: outbox.count_unsent() == 0)
    outbox.add(for_person(2))
    until(lambda: outbox.count_unsent() == 0)
    forwarder.stop()
    assert not forwarder.is_alive()
    assert rows(settings, "select count(*) from inference.predictions") == [(2,)]


def test_it_waits_for_a_warehouse_that_is_away_or_not_set_up(
    outbox: Outbox,
    settings: Settings,
    until: Callable[[Callable[[], bool]], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with transaction(settings.dsn("warehouse")) as cursor:
        cursor.execute("alter table inference.predictions rename to away")
    outbox.add(prediction(1))
    forwarder = Forwarder(outbox, settings)
    forwarder.start()
    until(lambda: "records wait in the outbox" in caplog.text)
    assert outbox.count_unsent() == 1
    with transaction(settings.dsn("warehouse")) as cursor:
        cursor.execute("alter table inference.away rename to predictions")
    until(lambda: outbox.count_unsent() == 0)
    forwarder.stop()
