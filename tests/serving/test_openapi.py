"""The OpenAPI schema is true: what schemathesis makes of it, the running service answers as it says."""

from __future__ import annotations

from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from serving.api import create_app
from tests.serving.conftest import Guarded
from tests.serving.examples import METADATA, PNG, ROUTE, UNSURE

EXAMPLES = 60  # 400 at random find nothing either
schema = schemathesis.openapi.from_dict(create_app().openapi())
# OpenAPI cannot forbid parameters that it does not tell.
schema.config.generation.update(allow_extra_parameters=False)


@pytest.fixture(scope="module")
def known(guarded: Guarded) -> dict[str, str]:
    """Values of path parameters that there is something for; made-up ones would all give 404."""
    told = guarded.ask("POST", ROUTE, guarded.secrets["line"], params=METADATA, content=UNSURE, headers=PNG)
    verdict = told.json()
    return {
        "inspection_id": verdict["inspection_id"],
        "model": verdict["model_version"],
        "camera_id": verdict["camera_id"],
        "part_serial": verdict["part_serial"],
    }


def test_the_service_tells_this_schema(guarded: Guarded) -> None:
    told = guarded.ask("GET", "/docs.json", guarded.secrets["viewer"]).json()
    assert told == create_app().openapi()
    assert told["openapi"].startswith("3.1")


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_answers_as_its_schema_says(
    case: schemathesis.Case, guarded: Guarded, known: dict[str, str]
) -> None:
    for name, value in case.path_parameters.items():
        if name != "inspection_id" or is_uuid(value):
            case.path_parameters[name] = known[name]
    case.call_and_validate(
        base_url=guarded.service.url,
        headers={"Authorization": f"Bearer {guarded.secrets[role(case.path)]}"},
        excluded_checks=[positive_data_acceptance] if beyond_a_schema(case) else [],
    )


def beyond_a_schema(case: schemathesis.Case) -> bool:
    """Tells whether no schema can say that a case is refused.

    It cannot say that bytes are an image, that metadata stands in the query or else in the form, or which
    classes the plant's ontology has.
    """
    return case.path == ROUTE or (isinstance(case.body, dict) and "defect_class" in case.body)


def role(path: str) -> str:
    """Returns whose key the route takes."""
    if path == ROUTE:
        return "line"
    return "inspector" if path.endswith(("/review", "/override")) else "engineer"


def is_uuid(text: object) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True
