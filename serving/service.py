"""The BentoML service.

Start it from the repository's root with ``bentoml serve serving.service:InspectionService``. Settings come
from the environment (see `inspection.settings`); `serving.process` gives the whole command.
"""

from __future__ import annotations

import gc

import bentoml
import click
import uvicorn.config

from inspection.errors import OutboxError
from inspection.settings import get_settings
from serving.api import create_app
from serving.guard import Guard, check_host
from serving.headers import AnswerHeaders
from serving.keys import load_keys
from serving.problems import ProblemMiddleware
from serving.process import check_certificate, end_with_parent
from serving.station import open_outbox, open_station

uvicorn.config.HTTP_PROTOCOLS["auto"] = "serving.protocol:BoundedProtocol"  # BentoML offers no option
app = create_app()


@bentoml.service(
    name="visual_inspection",
    workers=1,  # outbox, queue and pause state live in one process; replicas are whole services
    logging={"access": {"enabled": False}},  # each part is in the outbox, with its timings
    tracing={"excluded_urls": "/api/"},  # a span for each piece of a body that arrives takes time of its own
    metrics={"enabled": False},  # BentoML's own have a series for every path that any client asks for
    http={"host": get_settings().host, "port": get_settings().service_port},
)
@bentoml.asgi_app(app, path="/")
class InspectionService:
    """Gives every part a verdict."""

    def __init__(self) -> None:
        """Loads the model before the first request is taken."""
        end_with_parent()
        self.station = open_station(get_settings())
        app.state.station = self.station
        # What is there now stays: a collection need not look through it while a part waits.
        gc.collect()
        gc.freeze()

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check_door() -> None:
        """Refuses to listen beyond this machine without keys, or without the TLS that is configured.

        Before the port is opened.
        """
        settings = get_settings()
        command = click.get_current_context(silent=True)
        asked = command.params if command else {}
        check_host(
            asked.get("host") or settings.host, load_keys(settings.keys_file, required=settings.has_keys)
        )
        check_certificate(settings, asked.get("ssl_certfile"))

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check_outbox() -> None:
        """Ends at once when the outbox cannot be used: the worker would be started again and again."""
        try:
            open_outbox(get_settings()).close()
        except OutboxError as error:
            raise click.ClickException(str(error)) from error

    def __is_ready__(self) -> bool:
        return self.station.models.ready

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Ends what the service has started."""
        self.station.close()


for middleware, options in ((AnswerHeaders, {}), (ProblemMiddleware, {}), (Guard, {"state": app.state})):
    InspectionService.add_asgi_middleware(middleware, **options)  # type: ignore[attr-defined]  # now a Service
