"""The outbox: every verdict and review is on this machine's disk before its answer leaves.

SQLite with a write-ahead log and full sync. What has reached the warehouse is marked, and stays for as long
as there is room: the service answers repeated requests, the queue and look-ups from here, so it works without
the warehouse. Order is that of writing, never a time: a clock that is set back changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import UUID

from inspection.errors import OutboxError
from inspection.judgement import Action
from inspection.verdict import RouteReason
from serving.outbox_file import COUNT_UNSENT, UNSENT, OutboxFile
from serving.records import PredictionRecord, ReviewRecord, Role

Kind = Literal["predictions", "reviews"]


class Unsent(NamedTuple):
    """A record that the warehouse does not have yet, as JSON."""

    sequence: int
    record: str


class Place(NamedTuple):
    """A place in the queue for people: those with rank 0 come before those with rank 1, then by age."""

    rank: int
    sequence: int


FRONT = Place(0, 0)


class Outbox:
    """The records; safe to use from several threads.

    Attributes:
        written: set when there is something to send.
    """

    def __init__(self, path: Path, max_bytes: int = 2 * 2**30) -> None:
        """Opens or makes the file; what was written before a crash is there.

        Raises:
            OutboxError: the file is damaged, or its disk does not let it be used.
        """
        self._file = OutboxFile(path, max_bytes)
        self.written = threading.Event()

    @property
    def full(self) -> bool:
        """Tells whether room is so short that a person must look at every part."""
        return self._file.full

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def add(self, record: PredictionRecord) -> PredictionRecord:
        """Writes a verdict and returns the one that stands: the first for its inspection and role.

        It is on disk when this returns, a shadow's soon after, and it is `record` itself if that is the one.

        Raises:
            OutboxError: the disk does not take it, or the outbox has reached its bound.
        """
        written = record.model_dump_json(by_alias=True)
        for_person = record.role == "production" and record.recommended_action is Action.HUMAN_INSPECTION
        values = (str(record.inspection_id), record.role, for_person, written)

        def insert(db: sqlite3.Connection) -> str | None:
            if not self._file.check_room(db):
                return None
            db.execute(
                "insert into predictions (inspection_id, role, for_person, record) values (?, ?, ?, ?)"
                " on conflict do nothing",
                values,
            )
            return str(db.execute(_FIND, values[:2]).fetchone()[0])

        # Nobody waits for a shadow's verdict: it may be lost in a power cut, and holds no sync of others up.
        text = self._file.write(insert, durable=record.role == "production")
        if text is None:
            raise OutboxError(
                "the outbox has reached its bound: let a person look, and see the service's log"
            )
        self.written.set()
        return record if text == written else PredictionRecord.model_validate_json(text)

    def find(self, inspection_id: UUID, role: Role = "production") -> PredictionRecord | None:
        """Returns the verdict that counts for an inspection, or the shadow's; None without."""
        rows = self._file.read(_FIND, (str(inspection_id), role))
        return PredictionRecord.model_validate_json(rows[0][0]) if rows else None

    def add_review(self, record: ReviewRecord) -> ReviewRecord:
        """Writes a person's decision and returns the one that stands under its id."""
        review_id, inspection_id = str(record.review_id), str(record.inspection_id)

        def insert(db: sqlite3.Connection) -> str:
            db.execute(
                "insert into reviews (review_id, inspection_id, record) values (?, ?, ?)"
                " on conflict do nothing",
                (review_id, inspection_id, record.model_dump_json()),
            )
            standing, written = db.execute(
                "select inspection_id, record from reviews where review_id = ?", (review_id,)
            ).fetchone()
            # Of the review that stands: an id that is used again must not take another part from people.
            db.execute("update predictions set for_person = 0 where inspection_id = ?", (standing,))
            self._file.take_stock(db)
            return str(written)

        text = self._file.write(insert)
        self.written.set()
        return ReviewRecord.model_validate_json(text)

    def reviews(self, inspection_id: UUID) -> list[ReviewRecord]:
        """Returns the decisions on a part, oldest first."""
        rows = self._file.read(
            "select record from reviews where inspection_id = ? order by sequence", (str(inspection_id),)
        )
        return [ReviewRecord.model_validate_json(row[0]) for row in rows]

    def queue(
        self,
        limit: int,
        after: Place = FRONT,
        *,
        cameras: Sequence[str] | None = None,
        reason: RouteReason | None = None,
        urgent: Sequence[str] = (),
    ) -> list[tuple[Place, PredictionRecord]]:
        """Returns parts that wait for a person, oldest first.

        Args:
            limit: how many at most.
            after: the place of the last one of the page before.
            cameras: only from these.
            reason: only those that were routed to people for it.
            urgent: classes whose parts come first. An audited part keeps its place: coming first would tell
                its verdict.
        """
        listed = None if cameras is None else json.dumps(cameras)
        values = (limit, *after, listed, reason, *([json.dumps(urgent)] if urgent else []))
        return [
            (Place(int(rank), int(sequence)), PredictionRecord.model_validate_json(record))
            for rank, sequence, record in self._file.read(_URGENT_FIRST if urgent else _BY_AGE, values)
        ]

    def waits_for_person(self, inspection_id: UUID) -> bool:
        """Tells whether a part was routed to people and nobody has decided on it yet."""
        query = "select 1 from predictions where inspection_id = ? and for_person"
        return bool(self._file.read(query, (str(inspection_id),)))

    def of_part(self, part_serial: str, limit: int) -> list[PredictionRecord]:
        """Returns the newest verdicts on a part, oldest first."""
        rows = self._file.read(_OF_PART, (part_serial, limit))
        return [PredictionRecord.model_validate_json(row[0]) for row in reversed(rows)]

    def newest(self, limit: int) -> list[PredictionRecord]:
        """Returns the newest verdicts, oldest first."""
        rows = self._file.read(_NEWEST, (limit,))
        return [PredictionRecord.model_validate_json(row[0]) for row in reversed(rows)]

    def unsent(self, kind: Kind, limit: int) -> list[Unsent]:
        """Returns records that the warehouse does not have yet, oldest first."""
        query = f"select sequence, record from {kind} where {UNSENT} order by sequence limit ?"
        return [Unsent(*row) for row in self._file.read(query, (limit,))]

    def count_unsent(self) -> int:
        """Returns how many records the warehouse does not have yet."""
        return int(self._file.read(COUNT_UNSENT)[0][0])

    def mark_sent(self, kind: Kind, sequences: list[int]) -> None:
        """Notes that the warehouse has these; what a power cut makes it forget is sent again."""
        now = datetime.now(UTC).isoformat()

        def mark(db: sqlite3.Connection) -> None:
            db.executemany(
                f"update {kind} set sent_at = ? where sequence = ?",
                [(now, sequence) for sequence in sequences],
            )
            self._file.take_stock(db)

        self._file.write(mark, durable=False)

    def mark_refused(self, kind: Kind, sequence: int, reason: str) -> None:
        """Notes that the warehouse will never take this one, so that the others can go on."""
        update = f"update {kind} set refused = ? where sequence = ?"
        self._file.write(lambda db: db.execute(update, (reason, sequence)))


_FIND = "select record from predictions where inspection_id = ? and role = ?"
_OF_PART = """
select record from predictions
where role = 'production' and json_extract(record, '$.part_serial') = ? order by sequence desc limit ?
"""
_NEWEST = "select record from predictions where role = 'production' order by sequence desc limit ?"
_QUEUE = """
select {rank} as rank, sequence, record from predictions
where for_person and ({rank}, sequence) > (?2, ?3)
    and (?4 is null or json_extract(record, '$.camera_id') in (select value from json_each(?4)))
    and (?5 is null or json_extract(record, '$.route_reason') = ?5)
order by {order} limit ?1
"""
_RANK = f"""
not (
    json_extract(record, '$.route_reason') <> '{RouteReason.AUDIT}'
    and exists (
        select 1 from json_each(record, '$.defects')
        where json_extract(value, '$.class') in (select value from json_each(?6))
    )
)
"""
_BY_AGE = _QUEUE.format(rank="1", order="sequence")  # in the index's order: one page is read, not all
_URGENT_FIRST = _QUEUE.format(rank=_RANK, order="rank, sequence")
