"""No word of a request reaches the file system or the network."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving.conftest import Client
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE

MARK = "mark-" + uuid.uuid4().hex
WORDS = [f"../../{MARK}", f"/etc/{MARK}", f"file:///{MARK}", f"http://127.0.0.1:9/{MARK}", f"{MARK}|id"]

_watched: list[str] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watched is not None and MARK in repr(arguments):
        _watched.append(f"{event} {arguments!r}")


@contextmanager
def watched() -> Iterator[list[str]]:
    """Notes every event of the interpreter (files, processes, sockets, URLs) that has `MARK` in it."""
    global _watched
    _watched = []
    try:
        yield _watched
    finally:
        _watched = None


@pytest.fixture(scope="module", autouse=True)
def hook() -> None:
    sys.addaudithook(_hook)  # cannot be taken away again, so it looks at nothing outside `watched`


def test_the_hook_sees_a_file(tmp_path: Path) -> None:
    with watched() as found:
        (tmp_path / MARK).touch()
    assert found


@pytest.mark.parametrize("word", WORDS)
def test_words_of_a_request_stay_words(client: Client, word: str) -> None:
    strange = dict.fromkeys(("image_id", "camera_id", "part_serial", "part_type"), word)
    reason = {"json": {"reason": word}}
    review = {"json": {"inspector_id": word, "decision": "FAIL", "comment": word}}
    with watched() as found:
        verdict = client("POST", ROUTE, params=strange, content=GOOD, headers=PNG)
        form = client("POST", ROUTE, data=strange, files={"image": (word, GOOD, "image/png")})
        assert verdict.status_code == form.status_code == 200
        text = client("POST", ROUTE, data=METADATA | {"image": word}, files={"other": b"x"})
        assert text.status_code == 422
        inspection = verdict.json()["inspection_id"]
        assert client("POST", f"/api/v1/inspections/{inspection}/review", **review).status_code == 201
        quoted = word.replace("/", "%2F")
        for path in (word, quoted):
            assert client("GET", f"/api/v1/inspections/{path}").status_code in (404, 422)
            assert client("POST", f"/api/v1/models/{path}/approve", **reason).status_code == 404
            assert client("POST", f"/api/v1/models/{path}/rollback", **reason).status_code == 404
            assert client("POST", f"/api/v1/cameras/{path}/relearn", **reason).status_code in (200, 404)
        assert client("POST", "/api/v1/models/rollback", **reason).status_code == 409
    assert found == []
