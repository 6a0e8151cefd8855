"""Ray Serve with the image as the request's body: ``python -m bench.serve.peers.ray_serve PORT``."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.serve.peers import work_here


@serve.deployment
class Inspection:
    """Judges the image that is the body."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)
        self.work = work_here()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Judges it."""
        return self.work(await request.body())


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level=logging.WARNING)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(
        Inspection.bind(  # type: ignore[attr-defined]  # the decorator's
            str(Path.cwd())
        ),
        route_prefix="/predict",
        blocking=True,
    )
