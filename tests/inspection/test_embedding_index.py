"""The index of embeddings on a real PostgreSQL with pgvector, against brute force."""

from __future__ import annotations

import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray

from inspection.embedding_index import find_nearest, kind_of, read_vector, update_index
from inspection.embeddings import Embeddings
from inspection.errors import InsufficientDataError, ServiceError
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.inspection.test_dataset import MARTS


def embeddings(count: int, dimensions: int, seed: int = 0) -> Embeddings:
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return Embeddings(tuple(f"i{n:04}" for n in range(count)), vectors)


def nearest(found: Embeddings, vector: NDArray[np.float32]) -> tuple[list[str], NDArray[np.float64]]:
    """Brute force: ids, the nearest first, and their cosines."""
    matrix = found.vectors.astype(np.float64)
    cosine = matrix @ vector / np.linalg.norm(matrix, axis=1) / np.linalg.norm(vector)
    order = np.argsort(-cosine)
    return [found.image_ids[n] for n in order], cosine[order]


@pytest.fixture
def dsn(settings: Settings) -> str:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(MARTS)
    return settings.dsn("warehouse")


@pytest.mark.parametrize(
    ("dimensions", "type_", "indexed"),
    [(1, "vector(1)", True), (2000, "vector(2000)", True), (2001, "halfvec(2001)", True),
     (4000, "halfvec(4000)", True), (4001, "vector(4001)", False)],
)  # fmt: skip
def test_each_length_has_its_type(dimensions: int, type_: str, indexed: bool) -> None:
    kind = kind_of(dimensions)
    assert (kind.type, kind.operators is not None) == (type_, indexed)


@pytest.mark.parametrize("dimensions", [24, 2048, 4001])
def test_neighbours_are_those_of_brute_force(dsn: str, dimensions: int) -> None:
    found = embeddings(60, dimensions)
    report = update_index(dsn, found, "d1")
    assert (report.images, report.written, report.removed) == (60, 60, 0)
    assert (report.column, report.indexed) == (kind_of(dimensions).type, dimensions < 4001)
    asked = embeddings(3, dimensions, seed=1).vectors
    for vector in asked:
        ids, cosines = nearest(found, vector)
        told = find_nearest(dsn, vector, "d1", 10)
        assert [each.image_id for each in told] == ids[:10]
        assert np.allclose([each.similarity for each in told], cosines[:10], atol=1e-3)


def test_the_index_itself_finds_nearly_all(dsn: str) -> None:
    found = embeddings(1500, 16)
    update_index(dsn, found, "d1")
    asked = embeddings(20, 16, seed=1).vectors
    with transaction(dsn) as warehouse:
        warehouse.execute("analyze features.image_embeddings")
        warehouse.execute(
            "explain select * from features.image_embeddings order by embedding <=> %s::vector limit 10",
            (str(asked[0].tolist()),),
        )
        assert "image_embeddings_nearest" in "".join(line for (line,) in warehouse.fetchall())
    hits = [
        {each.image_id for each in find_nearest(dsn, vector, "d1", 10)} & set(nearest(found, vector)[0][:10])
        for vector in asked
    ]
    assert sum(map(len, hits)) >= 0.95 * 10 * len(asked)


def test_only_what_differs_is_written_and_what_is_gone_is_removed(dsn: str) -> None:
    found = embeddings(6, 8)
    update_index(dsn, found, "d1")
    assert update_index(dsn, found, "d1").written == 0
    changed = found.vectors[1:].copy()
    changed[0] += 1
    report = update_index(dsn, Embeddings(found.image_ids[1:], changed), "d1")
    assert (report.images, report.written, report.removed) == (5, 1, 1)
    assert read_vector(dsn, "i0000", "d1") is None
    stored = read_vector(dsn, "i0001", "d1")
    assert stored is not None
    assert np.allclose(stored, changed[0])
    assert update_index(dsn, Embeddings(found.image_ids, found.vectors), "d2").written == 6


def test_vectors_of_another_length_replace_the_table(dsn: str) -> None:
    update_index(dsn, embeddings(5, 8), "d1")
    report = update_index(dsn, embeddings(5, 2048), "d2")
    assert (report.written, report.column) == (5, "halfvec(2048)")
    assert len(find_nearest(dsn, embeddings(1, 2048).vectors[0], "d2", 9)) == 5


def test_a_neighbour_comes_with_what_is_known_of_it(dsn: str) -> None:
    update_index(dsn, embeddings(4, 8), "d1")
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            insert into marts.training_dataset values
            ('i0001', 'r', 'a/b.png', 'shaft', 'c1', 'l1', 'o1', '2026-03-01', 'FINE', '{}', 'train', 1, 1)
            """
        )
    vector = read_vector(dsn, "i0001", "d1")
    assert vector is not None
    own = find_nearest(dsn, vector, "d1", 1)[0]
    assert own.similarity == pytest.approx(1)
    assert (own.image_id, own.label, own.split, own.camera_id, own.image_path) == (
        "i0001", "FINE", "train", "c1", "a/b.png",
    )  # fmt: skip
    others = find_nearest(dsn, vector, "d1", 9, leave_out="i0001")
    assert {each.image_id for each in others} == {"i0000", "i0002", "i0003"}
    assert others[0].label is None


def test_no_images(dsn: str) -> None:
    report = update_index(dsn, Embeddings((), np.zeros((0, 8), np.float32)), "d1")
    assert (report.images, report.written, report.removed) == (0, 0, 0)


def test_an_index_of_other_embeddings_is_not_searched(dsn: str) -> None:
    vector = np.ones(8, np.float32)
    with pytest.raises(InsufficientDataError, match=r"is empty: run `vqi materialize embedding_index`"):
        find_nearest(dsn, vector, "d1", 3)
    update_index(dsn, embeddings(4, 8), "d1")
    with pytest.raises(InsufficientDataError, match="holds the embeddings of another profile"):
        find_nearest(dsn, vector, "d2", 3)
    with pytest.raises(InsufficientDataError, match="holds the embeddings of another profile"):
        read_vector(dsn, "i0001", "d2")


def test_a_user_who_may_not_make_the_extension_is_told_what_to_do(settings: Settings) -> None:
    dsn = settings.dsn("warehouse")
    name = dsn.rsplit("/", 1)[1]
    role = f"poor_{name}"
    with transaction(dsn) as warehouse:
        warehouse.execute(f"create role {role} login password 'poor'")
        warehouse.execute(f"grant usage, create on schema features to {role}")
    server = psycopg2.extensions.parse_dsn(dsn)
    poor = f"postgresql://{role}:poor@{server['host']}:{server['port']}/{name}"
    with pytest.raises(
        ServiceError, match=r"has no pgvector.*install pgvector 0\.8.*create extension vector"
    ):
        update_index(poor, embeddings(2, 4), "d1")
    with transaction(dsn) as warehouse:  # the rest of the warehouse is as it was
        warehouse.execute("select count(*) from features.image_files")
        assert warehouse.fetchall() == [(0,)]
