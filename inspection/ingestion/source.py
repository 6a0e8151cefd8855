"""A database of the plant, read as Arrow (ADBC) in a transaction that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2.extensions import make_dsn

from inspection.errors import ServiceError

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

CONNECT_SECONDS = 10
LOCK_SECONDS = 30


@dataclass(frozen=True)
class Source:
    """Where a database is, and how long one reading of it may take.

    Attributes:
        dsn: libpq URI.
        seconds: a reading that takes longer is given up.
    """

    dsn: str
    seconds: float

    @contextmanager
    def reading(self, place: str) -> Iterator[Cursor]:
        """Yields a cursor; all that it reads is one state of the database.

        Args:
            place: what is read, for messages.

        Raises:
            ServiceError: the database does not answer, breaks off, or takes too long.
        """
        import adbc_driver_postgresql.dbapi as adbc
        from adbc_driver_manager import Error

        try:
            with (
                adbc.connect(make_dsn(self.dsn, connect_timeout=CONNECT_SECONDS)) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("set transaction isolation level repeatable read read only")
                cursor.execute(f"set local statement_timeout = {int(self.seconds * 1000)}")
                cursor.execute(f"set local lock_timeout = {int(min(self.seconds, LOCK_SECONDS) * 1000)}")
                yield cursor
        except (Error, OSError) as error:  # a stream that breaks off is an OSError of Arrow's
            told = " ".join(str(error).split())
            raise ServiceError(f"cannot read {place}: {told}") from error
