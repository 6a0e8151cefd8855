"""The id of a request and the security headers, on answers of every kind."""

from __future__ import annotations

import re

import pytest

from serving.headers import SECURITY
from tests.serving.conftest import Client

QUEUE = "/api/v1/queue"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", QUEUE, 200), ("GET", "/", 200), ("GET", "/nothing", 404), ("POST", QUEUE, 405)],
)
def test_every_answer_carries_them(client: Client, method: str, path: str, status: int) -> None:
    answer = client(method, path)
    assert answer.status_code == status
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    for name, value in SECURITY.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("given", ["a", "9f.X_y-z", "x" * 64])
def test_a_well_formed_id_is_kept(client: Client, given: str) -> None:
    assert client("GET", QUEUE, headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "<script>", "\xe9", "a,b"])
def test_another_one_is_replaced(client: Client, given: str) -> None:
    answer = client("GET", QUEUE, headers={"X-Request-ID": given.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_problem_is_logged_with_its_id_in_one_line(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client("GET", "/api/v1/no%0Athing", headers={"X-Request-ID": "cam-7"})
    (line,) = [record.getMessage() for record in caplog.records if "cam-7" in record.getMessage()]
    assert line == "GET '/api/v1/no\\nthing', request cam-7: 404 Not Found"
