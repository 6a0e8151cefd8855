"""Whether enough has been annotated since the last split release to train again."""

from __future__ import annotations

from dataclasses import dataclass

from inspection.warehouse import transaction


@dataclass(frozen=True)
class Annotated:
    """What has been annotated.

    Attributes:
        release: the last split release; None before the first.
        new: valid annotations that came or changed since; all of them before the first release.
    """

    release: str | None
    new: int


@dataclass(frozen=True)
class Wanted:
    """What follows: a training under `key`, or none for a `reason`."""

    key: str | None
    reason: str


def read_annotated(dsn: str) -> Annotated:
    """Counts in the warehouse; nothing is annotated where nothing has been ingested yet."""
    with transaction(dsn) as warehouse:
        warehouse.execute(
            "select release_id, created_at from releases.split_releases order by created_at desc limit 1"
        )
        release, released_at = warehouse.fetchone() or (None, None)
        warehouse.execute("select to_regclass('marts.fct_annotations') is not null")
        ((built,),) = warehouse.fetchall()
        if not built:
            return Annotated(release, 0)
        warehouse.execute(
            """
            select count(*)
            from marts.fct_annotations as valid
            inner join staging.stg_annotations as typed on typed.annotation_id = valid.annotation_id
            where %(released_at)s::timestamptz is null or typed.updated_at > %(released_at)s
            """,
            {"released_at": released_at},
        )
        ((new,),) = warehouse.fetchall()
        return Annotated(release, new)


def training_wanted(cursor: str | None, annotated: Annotated, enough: int) -> Wanted:
    """Decides whether to train.

    The key names the release and how many times `enough` has come since: a training that failed
    before it made a release is not started again with each look, but with the next `enough`. It
    depends on the annotations alone, so a lost cursor gives the key that was used already.

    Args:
        cursor: the key of the last training that this started, if known.
        annotated: what there is.
        enough: how many new annotations make a training worth while; at least 1.
    """
    since = f"since release {annotated.release[:12]}" if annotated.release else "and no release yet"
    if annotated.new < enough:
        return Wanted(None, f"{annotated.new} new annotations {since}: a training starts at {enough}")
    key = f"{annotated.release or 'first'}-{annotated.new // enough if annotated.release else 1}"
    if key == cursor:
        return Wanted(None, f"{annotated.new} new annotations {since}: a training was started for them")
    return Wanted(key, f"{annotated.new} new annotations {since}")
