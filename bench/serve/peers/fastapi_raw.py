"""FastAPI with the image as the request's body: ``python -m bench.serve.peers.fastapi_raw PORT``."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from bench.serve.peers import work_here

app = FastAPI()
work = work_here()


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    """Judges the image that is the body."""
    return await run_in_threadpool(work, await request.body())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
