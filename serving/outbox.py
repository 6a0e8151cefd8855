"""The outbox: every verdict and review is on this machine's disk before its answer leaves.

SQLite with a write-ahead log and full sync. What has reached the warehouse is marked, not removed: the
service answers repeated requests, the queue and look-ups from here, so it works without the warehouse.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import UUID

from inspection.judgement import Action
from serving.records import PredictionRecord, ReviewRecord, Role

Kind = Literal["predictions", "reviews"]

_SCHEMA = """
begin;
create table if not exists predictions (
    sequence      integer primary key,
    inspection_id text not null,
    role          text not null,
    for_person    integer not null,
    record        text not null,
    sent_at       text,                -- when it reached the warehouse
    refused       text,                -- why the warehouse will never take it
    unique (inspection_id, role)
);
create table if not exists reviews (
    sequence      integer primary key,
    review_id     text not null unique,
    inspection_id text not null,
    record        text not null,
    sent_at       text,
    refused       text
);
create index if not exists unsent_predictions on predictions (sequence)
    where sent_at is null and refused is null;
create index if not exists unsent_reviews on reviews (sequence)
    where sent_at is null and refused is null;
create index if not exists reviews_of on reviews (inspection_id);
create index if not exists for_person on predictions (sequence) where for_person;
commit;
"""


class Unsent(NamedTuple):
    """A record that the warehouse does not have yet, as JSON."""

    sequence: int
    record: str


class Outbox:
    """The file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file; what was written before a crash is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_SCHEMA)
        self.written = threading.Event()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    def add(self, record: PredictionRecord) -> PredictionRecord:
        """Writes a verdict and returns the one that stands: the first for its inspection and role.

        It is on disk when this returns, and it is `record` itself if that is the one.
        """
        written = record.model_dump_json(by_alias=True)
        for_person = record.recommended_action is Action.HUMAN_INSPECTION
        values = (str(record.inspection_id), record.role, for_person, written)
        with self._transaction() as db:
            db.execute(
                "insert into predictions (inspection_id, role, for_person, record) values (?, ?, ?, ?)"
                " on conflict do nothing",
                values,
            )
            (text,) = db.execute(_FIND, values[:2]).fetchone()
        self.written.set()
        return record if text == written else PredictionRecord.model_validate_json(text)

    def find(self, inspection_id: UUID, role: Role = "production") -> PredictionRecord | None:
        """Returns the verdict that counts for an inspection, or the shadow's; None without."""
        row = self._one(_FIND, (str(inspection_id), role))
        return PredictionRecord.model_validate_json(row[0]) if row else None

    def add_review(self, record: ReviewRecord) -> ReviewRecord:
        """Writes a person's decision and returns the one that stands under its id."""
        with self._transaction() as db:
            db.execute(
                "insert into reviews (review_id, inspection_id, record) values (?, ?, ?)"
                " on conflict do nothing",
                (str(record.review_id), str(record.inspection_id), record.model_dump_json()),
            )
            (text,) = db.execute(
                "select record from reviews where review_id = ?", (str(record.review_id),)
            ).fetchone()
        self.written.set()
        return ReviewRecord.model_validate_json(text)

    def reviews(self, inspection_id: UUID) -> list[ReviewRecord]:
        """Returns the decisions on a part, oldest first."""
        query = "select record from reviews where inspection_id = ? order by sequence"
        return [ReviewRecord.model_validate_json(row[0]) for row in self._all(query, (str(inspection_id),))]

    def queue(self, limit: int) -> list[PredictionRecord]:
        """Returns the parts that wait for a person, oldest first."""
        return [PredictionRecord.model_validate_json(row[0]) for row in self._all(_QUEUE, (limit,))]

    def unsent(self, kind: Kind, limit: int) -> list[Unsent]:
        """Returns records that the warehouse does not have yet, oldest first."""
        query = f"select sequence, record from {kind} where {_UNSENT} order by sequence limit ?"
        return [Unsent(int(row[0]), row[1]) for row in self._all(query, (limit,))]

    def count_unsent(self) -> int:
        """Returns how many records the warehouse does not have yet."""
        query = " + ".join(
            f"(select count(*) from {kind} where {_UNSENT})" for kind in ("predictions", "reviews")
        )
        row = self._one(f"select {query}", ())
        return int(row[0]) if row else 0

    def mark_sent(self, kind: Kind, sequences: list[int]) -> None:
        """Notes that the warehouse has these."""
        now = datetime.now(UTC).isoformat()
        with self._transaction() as db:
            db.executemany(
                f"update {kind} set sent_at = ? where sequence = ?",
                [(now, sequence) for sequence in sequences],
            )

    def mark_refused(self, kind: Kind, sequence: int, reason: str) -> None:
        """Notes that the warehouse will never take this one, so that the others can go on."""
        with self._transaction() as db:
            db.execute(f"update {kind} set refused = ? where sequence = ?", (reason, sequence))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def _one(self, query: str, values: tuple[object, ...]) -> tuple[str, ...] | None:
        rows = self._all(query, values)
        return rows[0] if rows else None

    def _all(self, query: str, values: tuple[object, ...]) -> list[tuple[str, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


_UNSENT = "sent_at is null and refused is null"
_FIND = "select record from predictions where inspection_id = ? and role = ?"
_QUEUE = """
select record from predictions as p
where for_person and role = 'production'
    and not exists (select 1 from reviews as r where r.inspection_id = p.inspection_id)
order by sequence limit ?
"""
