"""Every route of a running service, BentoML's own too, with the key of every role, a wrong one and none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args

import pytest

from serving.guard import CHALLENGES
from serving.keys import KeyRole, create_key, revoke_key
from serving.process import REPOSITORY
from tests.serving.conftest import Guarded
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE

ROLES = set(get_args(KeyRole))
READERS = ROLES - {"line"}
MISSING = "00000000-0000-0000-0000-000000000000"
REVIEW = {"json": {"inspector_id": "anna", "decision": "PASS"}}
REASON = {"json": {"reason": "because"}}
ONE = "/api/v1/inspections/{inspection_id}"

# Who may do what; None: everybody, without a key.
ALLOWED: dict[tuple[str, str], set[str] | None] = {
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/healthz"): None,
    ("GET", "/metrics"): ROLES,
    ("GET", "/"): READERS,
    ("GET", "/api.js"): READERS,
    ("GET", "/docs.json"): READERS,
    ("GET", "/schema.json"): READERS,
    ("GET", "/static_content"): READERS,
    ("POST", ROUTE): {"line"},
    ("GET", ONE): READERS,
    ("GET", f"{ONE}/image"): READERS,
    ("GET", f"{ONE}/heatmap"): READERS,
    ("GET", "/api/v1/parts/{part_serial:path}"): ROLES,
    ("GET", "/api/v1/queue"): READERS,
    ("POST", f"{ONE}/review"): {"inspector"},
    ("POST", f"{ONE}/override"): {"inspector"},
    ("GET", "/api/v1/models"): READERS,
    ("POST", "/api/v1/models/{model}/approve"): {"engineer"},
    ("POST", "/api/v1/models/{model}/rollback"): {"engineer"},
    ("POST", "/api/v1/models/rollback"): {"engineer"},
    ("POST", "/api/v1/auto-pass/resume"): {"engineer"},
    ("GET", "/api/v1/cameras"): READERS,
    ("POST", "/api/v1/cameras/{camera_id}/relearn"): {"engineer"},
}


# In a process of its own, as BentoML does not import without warnings.
ROUTES = """
import json
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from serving.service import InspectionService, app

bento = [route for route in InspectionService.to_asgi(is_main=True).routes if route.path]
for route in (*bento, *iter_route_contexts(app.routes)):
    for method in {"GET"} if isinstance(route, Mount) else route.methods - {"HEAD"}:
        print(json.dumps([method, route.path]))
"""


def test_every_route_has_a_rule() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", ROUTES], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = {tuple(json.loads(line)) for line in listed.stdout.splitlines()}
    assert found == set(ALLOWED), "say in ALLOWED who may use the new route"


@pytest.fixture(params=sorted(ALLOWED), ids=" ".join)
def route(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def ask(guarded: Guarded, route: tuple[str, str], secret: str = "") -> Any:
    method, path = route
    names = {"inspection_id": MISSING, "model": "none", "camera_id": "none", "part_serial": "none"}
    filled = path.replace(":path", "").format_map(names)
    if path == ROUTE:
        return guarded.ask(method, path, secret, params=METADATA, content=GOOD, headers=PNG)
    if path == "/static_content":
        filled += "/swagger-ui.css"
    body = {} if method == "GET" else REVIEW if path.startswith(ONE) else REASON
    return guarded.ask(method, filled, secret, **body)


def test_no_key_no_answer(guarded: Guarded, route: tuple[str, str]) -> None:
    for secret in ("", "nonsense"):
        answer = ask(guarded, route, secret)
        if ALLOWED[route] is None:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401
            assert answer.headers.get_list("www-authenticate") == list(CHALLENGES)
            assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_each_role_on_each_route(guarded: Guarded, route: tuple[str, str], role: str) -> None:
    allowed = ALLOWED[route]
    status = ask(guarded, route, guarded.secrets[role]).status_code
    if allowed is None or role in allowed:
        assert status in (200, 201, 404, 409)
    else:
        assert status == 403


def test_a_decision_carries_the_key_that_it_came_with(guarded: Guarded) -> None:
    judged = guarded.ask(
        "POST", ROUTE, guarded.secrets["line"], params=METADATA, content=GOOD, headers=PNG
    ).json()
    inspection = f"/api/v1/inspections/{judged['inspection_id']}"
    # What the client says stands beside it, and does not replace it.
    body = {"inspector_id": "anna", "decision": "PASS", "key_name": "engineer"}
    answer = guarded.ask("POST", f"{inspection}/review", guarded.secrets["inspector"], json=body)
    assert answer.status_code == 422  # no field of a decision
    del body["key_name"]
    guarded.ask("POST", f"{inspection}/review", guarded.secrets["inspector"], json=body)
    (review,) = guarded.ask("GET", inspection, guarded.secrets["viewer"]).json()["reviews"]
    assert (review["inspector_id"], review["key_name"]) == ("anna", "inspector")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_viewer_writes_nowhere(guarded: Guarded, method: str) -> None:
    for path in ("/", "/metrics", "/api/v1/models", "/api/v1/nothing"):
        assert guarded.ask(method, path, guarded.secrets["viewer"]).status_code == 403


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/nothing", "/livez/", "/livez/../metrics", "//livez", "/livez%00", "/LIVEZ"]
)
def test_what_is_not_there_is_shut_too(guarded: Guarded, path: str) -> None:
    assert guarded.ask("GET", path).status_code == 401


@pytest.mark.parametrize("path", ["/static_content/..%2f..%2fserver.py", "/static_content/%2fetc%2fpasswd"])
def test_the_assets_lead_nowhere_else(guarded: Guarded, path: str) -> None:
    assert guarded.ask("GET", path, guarded.secrets["viewer"]).status_code == 404


def test_a_key_counts_while_the_service_runs_and_so_does_its_end(
    guarded: Guarded, until: Callable[[Callable[[], bool]], None]
) -> None:
    def status() -> int:
        return guarded.ask("GET", "/api/v1/queue", secret).status_code

    secret = create_key(guarded.file, "late", "viewer")
    until(lambda: status() == 200)
    revoke_key(guarded.file, "late")
    until(lambda: status() == 401)


@pytest.mark.parametrize(
    "kind",
    ["application/vnd.bentoml+pickle", "application/vnd.bentoml+multipart", "application/octet-stream"],
)
@pytest.mark.parametrize("path", [ROUTE, "/api/v1/auto-pass/resume", "/", "/schema.json"])
def test_no_route_takes_a_pickle(guarded: Guarded, kind: str, path: str) -> None:
    pickled = b"cos\nsystem\n(S'exit 1'\ntR."
    headers = {"Content-Type": kind, "Payload-Container": "NdarrayContainer", "Payload-Meta": "{}"}
    role = "line" if path == ROUTE else "engineer"
    answer = guarded.ask(
        "POST", path, guarded.secrets[role], params=METADATA, content=pickled, headers=headers
    )
    assert answer.status_code == {ROUTE: 415, "/api/v1/auto-pass/resume": 422}.get(path, 405)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_id_of_a_request_is_in_the_log(guarded: Guarded) -> None:
    guarded.ask("GET", "/api/v1/nothing", guarded.secrets["viewer"], headers={"X-Request-ID": "find-me"})
    assert "GET '/api/v1/nothing', request find-me: 404 there is nothing here" in guarded.service.log()


def test_no_secret_is_in_the_log(guarded: Guarded) -> None:
    guarded.ask("GET", "/api/v1/queue", "a-wrong-secret")
    log = guarded.service.log()
    assert "401 send a valid key" in log
    assert not [secret for secret in (*guarded.secrets.values(), "a-wrong-secret") if secret in log]
