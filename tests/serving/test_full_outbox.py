"""What a line client sees when there is no room for verdicts: a person first, and then a refusal."""

from __future__ import annotations

import uuid

import pytest

from inspection.settings import Settings
from serving.station import Station
from tests.serving.conftest import Client
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE
from tests.serving.test_outbox_file import fill, large, send


def post(client: Client, key: uuid.UUID | None = None) -> tuple[int, dict[str, object], str | None]:
    headers = PNG | {"Idempotency-Key": str(key or uuid.uuid4())}
    answer = client("POST", ROUTE, params=METADATA, content=GOOD, headers=headers)
    return answer.status_code, answer.json(), answer.headers.get("retry-after")


@pytest.fixture
def offline(offline: Settings) -> Settings:
    return offline.model_copy(update={"outbox_max_bytes": 16 * 2**20})


def test_parts_go_to_people_then_are_refused_and_then_go_their_own_way(
    client: Client, station: Station
) -> None:
    first = uuid.uuid4()
    status, answer, _ = post(client, first)
    assert (status, answer["recommended_action"]) == (200, "ACCEPT")

    number = 0
    while not station.outbox.full:
        station.outbox.add(large(number))
        number += 1
    status, to_person, _ = post(client)
    assert (status, to_person["recommended_action"]) == (200, "HUMAN_INSPECTION")
    assert to_person["route_reason"] == "outbox_full"
    assert to_person["prediction"] == "PASS"  # it was judged all the same

    fill(station.outbox, number)
    status, problem, wait = post(client)
    assert (status, wait) == (503, "10")
    assert "has reached its bound: let a person look" in str(problem["detail"])
    assert post(client, first)[:2] == (200, answer)  # what was answered stays answered
    queue = client("GET", "/api/v1/queue").json()["waiting"]
    assert [part["inspection_id"] for part in queue] == [to_person["inspection_id"]]

    send(station.outbox)
    status, answer, _ = post(client)
    assert (status, answer["recommended_action"]) == (200, "ACCEPT")
