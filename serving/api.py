"""The HTTP API: one FastAPI app, which the BentoML service mounts."""

from __future__ import annotations

from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST

from serving import metrics
from serving.problems import RESPONSES, handle_problems
from serving.routes import cameras, images, inspections, models, parts, predict, queue

PAGES = Path(__file__).with_name("pages")
ABOUT = """Gives each part PASS or FAIL, its defects with boxes and severity, and a place to go.

| role | may |
| --- | --- |
| `line` | post images, ask for the verdict on a whole part |
| `inspector` | read the queue, decide on parts |
| `engineer` | list, approve and roll back models, resume auto-pass |
| `viewer` | read |

A line client takes any error, 503 or time-out for HUMAN_INSPECTION. `/livez` and `/readyz` tell anybody how
the service is; `/metrics`, for Prometheus, takes the key of any role.
"""
MAX_JSON = 64 * 2**10  # bytes of the body of every route but the line's


def create_app() -> FastAPI:
    """Makes the app; its `state.station` must be set before the first request."""
    app = FastAPI(
        title="Visual inspection",
        version="v1",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/docs.json",  # instead of BentoML's, which is of a version that has no null
        responses=RESPONSES,
        # Only to tell it: `serving.guard` asks for the key, and wants one here too.
        dependencies=[Depends(HTTPBearer(auto_error=False, description="A key of `vqi keys create`."))],
    )
    handle_problems(app)
    app.add_middleware(metrics.RequestTimer, path=predict.PATH)
    app.include_router(predict.router, tags=["line"])
    for routes in (queue, inspections, images, parts):
        app.include_router(routes.router, tags=["inspectors"], max_body_size=MAX_JSON)
    app.include_router(models.router, tags=["engineers"], max_body_size=MAX_JSON)
    app.include_router(cameras.router, tags=["engineers"], max_body_size=MAX_JSON)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        """The OpenAPI page: BentoML's own loads a tracker."""
        return FileResponse(PAGES / "api.html")

    @app.get("/api.js", include_in_schema=False)
    def script() -> FileResponse:
        """The page's script: what stands in a page itself is not run."""
        return FileResponse(PAGES / "api.js")

    @app.get("/metrics", include_in_schema=False)
    def figures() -> Response:
        """What Prometheus reads."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return app
