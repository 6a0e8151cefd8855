"""LitServe with the image in a form: ``python -m bench.serve.peers.litserve_form PORT``."""

from __future__ import annotations

import sys
from typing import Any

import litserve

from bench.serve.peers import work_here


class Inspection(litserve.LitAPI):  # type: ignore[misc]  # it tells no types
    """Judges the image in the field ``image``."""

    def setup(self, device: str) -> None:
        """Loads the model."""
        self.work = work_here()

    # Without a type LitServe hands over the form; with one it looks for the request in the query.
    def decode_request(self, request) -> bytes:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Returns the image's bytes."""
        return bytes(request["image"].file.read())

    def predict(self, x: bytes) -> dict[str, Any]:
        """Judges it."""
        return self.work(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Answers it."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Inspection(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
