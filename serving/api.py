"""The HTTP API: one FastAPI app, which the BentoML service mounts."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from serving import metrics
from serving.problems import RESPONSES, handle_problems
from serving.routes import cameras, images, inspections, models, parts, predict, queue

PAGE = Path(__file__).with_name("pages") / "api.html"
MAX_JSON = 64 * 2**10  # bytes of the body of every route but the line's


def create_app() -> FastAPI:
    """Makes the app; its `state.station` must be set before the first request."""
    app = FastAPI(
        title="Visual inspection",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # BentoML tells it, at /docs.json, with its own routes
        responses=RESPONSES,
    )
    handle_problems(app)
    app.add_middleware(metrics.RequestTimer, path=predict.PATH)
    app.include_router(predict.router, tags=["line"])
    for routes in (queue, inspections, images, parts):
        app.include_router(routes.router, tags=["inspectors"], max_body_size=MAX_JSON)
    app.include_router(models.router, tags=["engineers"], max_body_size=MAX_JSON)
    app.include_router(cameras.router, tags=["engineers"], max_body_size=MAX_JSON)

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        """The OpenAPI page: BentoML's own loads a tracker."""
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

    @app.get("/metrics", include_in_schema=False)
    def figures() -> Response:
        """What Prometheus reads."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return app
