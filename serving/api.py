"""The HTTP API: one FastAPI app, which the BentoML service mounts."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from serving.problems import RESPONSES, handle_problems
from serving.routes import inspections, models, predict

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
    app.include_router(predict.router, tags=["line"])
    app.include_router(inspections.router, tags=["inspectors"], max_body_size=MAX_JSON)
    app.include_router(models.router, tags=["engineers"], max_body_size=MAX_JSON)

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        """The OpenAPI page, from files of this machine: BentoML's own loads a tracker."""
        return get_swagger_ui_html(
            openapi_url="docs.json",
            title="Visual inspection",
            swagger_js_url="static_content/swagger-ui-bundle.js",
            swagger_css_url="static_content/swagger-ui.css",
            swagger_favicon_url="static_content/favicon-light-32x32.png",
        )

    return app
