"""The service as a process: how it is started, and that it does not outlive its parent."""

from __future__ import annotations

import os
import signal
import ssl
import sys
import threading
from pathlib import Path

from inspection.errors import SettingsError
from inspection.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = "serving.service:InspectionService"


def serve_command(settings: Settings, target: str = TARGET) -> list[str]:
    """Returns the command that runs the service in the foreground; its working folder is `REPOSITORY`.

    Args:
        settings: give host, port and certificate.
        target: `TARGET`, or the folder of a built Bento.
    """
    address = ["--host", settings.host, "--port", str(settings.service_port)]
    if settings.tls_certificate is not None:
        address += ["--ssl-certfile", str(settings.tls_certificate), "--ssl-keyfile", str(settings.tls_key)]
    return [sys.executable, "-m", "bentoml", "serve", target, *address]


def serve_environment(settings: Settings) -> dict[str, str]:
    """Returns what the command needs in its environment beside the caller's own settings.

    BentoML keeps its files below the home of this installation: two services that shared them would
    wipe each other's metrics. Neither it nor ONNX Runtime shall report to its makers.
    """
    return {
        "VQI_HOME": str(settings.root),
        "VQI_HOST": settings.host,
        "VQI_SERVICE_PORT": str(settings.service_port),
        "BENTOML_HOME": str(settings.root / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "ORT_DISABLE_TELEMETRY": "1",
    }


def check_certificate(settings: Settings, in_use: str | None) -> None:
    """Refuses to start without the certificate that is configured, or with one that will not do.

    Args:
        settings: give certificate and key.
        in_use: certificate that BentoML was told.

    Raises:
        SettingsError: BentoML was told another one, or none; or the files are no certificate and its key.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    if in_use != str(settings.tls_certificate):
        raise SettingsError(
            "VQI_TLS_CERTIFICATE is set, but BentoML was not told: start the service with --ssl-certfile "
            f"{settings.tls_certificate} --ssl-keyfile {settings.tls_key}"
        )
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_certificate,
            settings.tls_key,
            password=lambda: "",  # nobody is there to be asked
        )
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"VQI_TLS_CERTIFICATE {settings.tls_certificate} and VQI_TLS_KEY {settings.tls_key} "
            f"cannot be used: {error}"
        ) from error


def end_with_parent(poll_seconds: float = 1.0) -> None:
    """Ends this process when its parent has gone.

    BentoML runs the service as the child of a process that only holds the port. Were that one killed,
    the child would go on holding the port, and no new service could start.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(poll_seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
