"""Embeddings in the warehouse, for the nearest neighbours of an image: pgvector and its HNSW index.

The table follows the embeddings in the object store; it may be dropped, and the next run fills it again.
Vectors of up to 2,000 numbers are kept as they are, up to 4,000 in half precision (pgvector indexes no longer
ones), longer ones without an index.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg2 import errors
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from inspection.embeddings import Embeddings
from inspection.errors import InsufficientDataError, ServiceError
from inspection.progress import report
from inspection.warehouse import transaction

TASK = "embedding index"
PAGE = 500
LONGEST_VECTOR, LONGEST_HALFVEC = 2000, 4000
SEARCHED = 200
"""Entries that a search of the index keeps at least (pgvector's ``hnsw.ef_search``; its default is 40)."""
MOST_SEARCHED = 1000
"""The most that pgvector allows."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class IndexReport:
    """What one round did: images in the index now, added or changed, and removed ones."""

    images: int
    written: int
    removed: int
    column: str
    indexed: bool


class Neighbour(NamedTuple):
    """An image near to another one.

    Attributes:
        similarity: cosine, -1 to 1.
        label: primary label; None of an image that the training dataset no longer has, as the rest then.
        split: ``train``, ``validation`` or ``test``.
    """

    image_id: str
    similarity: float
    label: str | None
    split: str | None
    camera_id: str | None
    captured_at: datetime | None
    image_path: str | None


class _Kind(NamedTuple):
    type: str
    operators: str | None


def kind_of(dimensions: int) -> _Kind:
    """Returns the column's type and the index's operators for vectors of a length."""
    if dimensions <= LONGEST_VECTOR:
        return _Kind(f"vector({dimensions})", "vector_cosine_ops")
    if dimensions <= LONGEST_HALFVEC:
        return _Kind(f"halfvec({dimensions})", "halfvec_cosine_ops")
    return _Kind(f"vector({dimensions})", None)


def update_index(dsn: str, embeddings: Embeddings, digest: str) -> IndexReport:
    """Makes ``features.image_embeddings`` hold exactly these vectors; writes only what differs.

    Args:
        dsn: libpq URI of the warehouse.
        embeddings: all that shall be in it.
        digest: names them; `find_nearest` refuses to mix.

    Raises:
        ServiceError: the server has no pgvector.
    """
    kind = kind_of(embeddings.vectors.shape[1])
    hashes = [hashlib.sha256(vector.tobytes()).hexdigest() for vector in embeddings.vectors]
    with transaction(dsn) as warehouse:
        _make_table(warehouse, kind)
        warehouse.execute("select image_id, digest, vector_sha256 from features.image_embeddings")
        there = {image_id: rest for image_id, *rest in warehouse.fetchall()}
        removed = sorted(there.keys() - set(embeddings.image_ids))
        warehouse.execute("delete from features.image_embeddings where image_id = any(%s)", (removed,))
        rows = [
            (image_id, digest, sha256, _text(vector))
            for image_id, sha256, vector in zip(embeddings.image_ids, hashes, embeddings.vectors, strict=True)
            if there.get(image_id) != [digest, sha256]
        ]
        for start in range(0, len(rows), PAGE):
            _write(warehouse, rows[start : start + PAGE])
            report(TASK, min(start + PAGE, len(rows)), len(rows))
        if kind.operators is not None:  # after the rows: an index that is built at once is built faster
            warehouse.execute(
                "create index if not exists image_embeddings_nearest on features.image_embeddings "
                f"using hnsw (embedding {kind.operators})"
            )
    indexed = kind.operators is not None
    return IndexReport(len(embeddings.image_ids), len(rows), len(removed), kind.type, indexed)


def read_vector(dsn: str, image_id: str, digest: str) -> Vectors | None:
    """Returns the vector of an image, float32 [D], or None if it is not in the index.

    Raises:
        InsufficientDataError: there is no index, or it is of other embeddings.
    """
    with transaction(dsn) as warehouse:
        _check(warehouse, digest)
        warehouse.execute(
            "select embedding::text from features.image_embeddings where image_id = %s", (image_id,)
        )
        found = warehouse.fetchone()
    return None if found is None else np.array(found[0].strip("[]").split(","), np.float32)


def find_nearest(
    dsn: str, vector: Vectors, digest: str, count: int, leave_out: str | None = None
) -> list[Neighbour]:
    """Finds the images whose embeddings have the highest cosine with a vector.

    Args:
        dsn: libpq URI of the warehouse.
        vector: float32 [D].
        digest: of the embeddings that the vector belongs to.
        count: how many, at least 1.
        leave_out: id of the image that is asked for.

    Returns:
        The nearest first. With an index they are near enough, and not always all of the nearest.

    Raises:
        InsufficientDataError: there is no index, or it is of other embeddings.
    """
    with transaction(dsn) as warehouse:
        _check(warehouse, digest)
        searched = min(max(SEARCHED, 2 * count), MOST_SEARCHED)
        warehouse.execute("select set_config('hnsw.ef_search', %s, true)", (str(searched),))
        kind = kind_of(len(vector)).type.partition("(")[0]
        warehouse.execute(
            f"""
            with nearest as materialized (
                select image_id, embedding <=> %(vector)s::{kind} as distance
                from features.image_embeddings
                order by embedding <=> %(vector)s::{kind}
                limit %(wanted)s
            )
            select image_id, 1 - distance, label, split, camera_id, capture_timestamp, image_path
            from nearest
            left join marts.training_dataset using (image_id)
            where image_id is distinct from %(left_out)s
            order by distance, image_id
            limit %(count)s
            """,
            {"vector": _text(vector), "wanted": count + 1, "left_out": leave_out, "count": count},
        )
        return [Neighbour(*row) for row in warehouse.fetchall()]


def _make_table(warehouse: cursor, kind: _Kind) -> None:
    warehouse.execute("select 1 from pg_extension where extname = 'vector'")
    if not warehouse.fetchall():
        try:
            warehouse.execute("create extension vector")
        except (errors.FeatureNotSupported, errors.UndefinedFile, errors.InsufficientPrivilege) as error:
            raise ServiceError(
                "the warehouse has no pgvector, which nearest neighbours need: install pgvector 0.8 on its "
                "server, and let an administrator run `create extension vector` in its database "
                f"({str(error).splitlines()[0]})"
            ) from error
    warehouse.execute(
        """
        select format_type(atttypid, atttypmod) from pg_attribute
        where attrelid = to_regclass('features.image_embeddings') and attname = 'embedding'
        """
    )
    columns = [column for (column,) in warehouse.fetchall()]
    if columns and columns != [kind.type]:  # of a network with longer or shorter vectors
        warehouse.execute("drop table features.image_embeddings")
    warehouse.execute(
        f"""
        create table if not exists features.image_embeddings (
            image_id      text primary key,
            digest        text not null,
            vector_sha256 text not null,
            embedding     {kind.type} not null,
            written_at    timestamptz not null default clock_timestamp()
        )
        """
    )


def _write(warehouse: cursor, rows: list[tuple[str, str, str, str]]) -> None:
    execute_values(
        warehouse,
        """
        insert into features.image_embeddings (image_id, digest, vector_sha256, embedding) values %s
        on conflict (image_id) do update
        set digest = excluded.digest,
            vector_sha256 = excluded.vector_sha256,
            embedding = excluded.embedding,
            written_at = clock_timestamp()
        """,
        rows,
        page_size=PAGE,
    )


def _check(warehouse: cursor, digest: str) -> None:
    warehouse.execute("select to_regclass('features.image_embeddings')")
    ((there,),) = warehouse.fetchall()
    digests: list[Any] = []
    if there is not None:
        warehouse.execute("select distinct digest from features.image_embeddings")
        digests = [found for (found,) in warehouse.fetchall()]
    if digests != [digest]:
        wrong = "holds the embeddings of another profile" if digests else "is empty"
        raise InsufficientDataError(
            f"the index of embeddings {wrong}: run `vqi materialize embedding_index` with this profile "
            "(VQI_PROFILE), after image_embeddings"
        )


def _text(vector: Vectors) -> str:
    return "[" + ",".join(map(repr, vector.tolist())) + "]"
