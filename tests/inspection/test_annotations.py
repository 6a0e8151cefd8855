"""When enough annotations are new to train again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from inspection.annotations import Annotated, read_annotated, training_wanted
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.line import NOON


@pytest.mark.parametrize(
    ("cursor", "annotated", "key"),
    [
        (None, Annotated(None, 0), None),
        (None, Annotated("r1", 0), None),
        (None, Annotated("r1", 499), None),
        (None, Annotated("r1", 500), "r1-1"),
        ("r1-1", Annotated("r1", 500), None),  # the same again
        ("r1-1", Annotated("r1", 999), None),
        (None, Annotated("r1", 999), "r1-1"),  # a lost cursor gives the key that was used
        ("r1-1", Annotated("r1", 1000), "r1-2"),  # that training made no release
        ("r1-1", Annotated("r2", 500), "r2-1"),
        (None, Annotated(None, 38_000), "first-1"),
        ("first-1", Annotated(None, 39_000), None),
    ],
)
def test_training_wanted(cursor: str | None, annotated: Annotated, key: str | None) -> None:
    wanted = training_wanted(cursor, annotated, 500)
    assert wanted.key == key
    assert str(annotated.new) in wanted.reason


def annotate(dsn: str, *times: datetime, valid: bool = True) -> None:
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            create schema if not exists staging;
            create schema if not exists marts;
            create table if not exists staging.stg_annotations (annotation_id text, updated_at timestamptz);
            create table if not exists marts.fct_annotations (annotation_id text)
            """
        )
        for time in times:
            warehouse.execute(
                """
                with typed as (
                    insert into staging.stg_annotations
                    values (gen_random_uuid()::text, %s) returning annotation_id)
                insert into marts.fct_annotations select annotation_id from typed where %s
                """,
                (time, valid),
            )


def release(dsn: str, release_id: str, created_at: datetime) -> None:
    with transaction(dsn) as warehouse:
        warehouse.execute(
            "insert into releases.split_releases values (%s, %s, 'grouped', 180, %s)",
            (release_id, created_at, created_at),
        )


def test_read_annotated(settings: Settings) -> None:
    dsn, day = settings.dsn("warehouse"), timedelta(days=1)
    assert read_annotated(dsn) == Annotated(None, 0)  # nothing has been built yet
    annotate(dsn, NOON, NOON + 3 * day, NOON + 4 * day)
    annotate(dsn, NOON + 5 * day, valid=False)
    assert read_annotated(dsn) == Annotated(None, 3)
    release(dsn, "r1", NOON - day)
    release(dsn, "r2", NOON + 2 * day)
    assert read_annotated(dsn) == Annotated("r2", 2)
