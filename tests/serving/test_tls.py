"""The service over TLS, with a certificate of the plant's own authority and for the plant's own name."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from inspection.errors import SettingsError
from inspection.settings import Settings
from inspection.simulation.hostile import attack
from inspection.simulation.hostile_requests import hostile_kinds
from inspection.simulation.line import LinePart, run_line
from inspection.tls import trust
from serving.process import check_certificate, serve_command
from tests.conftest import free_port
from tests.serving.conftest import without_warehouse
from tests.serving.examples import GOOD
from tests.serving.plant import Service, refused_start
from vqi.programs import programs

NAME = "inspection-1.plant.example"
authority = trustme.CA()


def certificate(folder: Path, issuer: trustme.CA = authority) -> dict[str, Path]:
    """Writes a certificate and its key; returns the settings that name them."""
    folder.mkdir(exist_ok=True)
    issued = issuer.issue_cert(NAME)
    files = {"tls_certificate": folder / "service.pem", "tls_key": folder / "service.key"}
    files["tls_certificate"].write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    files["tls_key"].write_bytes(issued.private_key_pem.bytes())
    return files


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("tls")
    return without_warehouse(home, service_port=free_port(), **certificate(home / "pem"))


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Service]:
    running = Service(settings)
    try:
        running.wait()
        yield running
    finally:
        running.kill()


def test_it_speaks_https_and_nothing_else(service: Service, settings: Settings) -> None:
    assert service.url == f"https://127.0.0.1:{settings.service_port}"
    answer = httpx.get(service.url + "/api/v1/queue", verify=trust(settings.tls_certificate))
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    with pytest.raises(httpx.TransportError):
        httpx.get(service.url.replace("https", "http") + "/livez")


def test_only_the_very_certificate_is_trusted(service: Service, tmp_path: Path) -> None:
    # By the same authority, and for the same name.
    other = certificate(tmp_path / "other")["tls_certificate"]
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(service.url + "/livez", verify=trust(other))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(service.url + "/livez")


def test_another_machine_trusts_the_authority(service: Service, settings: Settings) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with httpx.Client(verify=context) as client:
        answer = client.get(service.url + "/livez", extensions={"sni_hostname": NAME})
    assert answer.status_code == 200


def test_an_old_protocol_is_refused(service: Service, settings: Settings) -> None:
    context = trust(settings.tls_certificate)
    assert isinstance(context, ssl.SSLContext)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url + "/livez", verify=context)


def test_the_cameras_and_the_supervisor_follow(service: Service, settings: Settings, tmp_path: Path) -> None:
    image = tmp_path / "part.png"
    image.write_bytes(GOOD)
    part = LinePart("img-1", image, "cam-1", "shaft", "SN-1")
    report = run_line(settings.service_url, [part], rate=10, verify=trust(settings.tls_certificate))
    assert report.answered == 1
    kind = next(kind for kind in hostile_kinds() if kind.kind == "no image")
    hostile = attack(settings.service_url, kind, 10, trust(settings.tls_certificate))
    assert hostile.verdict == "right", hostile
    program = programs(settings)["service"]
    assert program.address == settings.service_url
    assert program.ready()


def test_it_does_not_start_in_the_clear_when_a_certificate_is_configured(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, service_port=free_port(), **certificate(tmp_path / "pem"))
    told = refused_start(serve_command(Settings(home=tmp_path, service_port=settings.service_port)), settings)
    assert "start the service with --ssl-certfile" in told


def test_a_certificate_with_another_ones_key_is_told(tmp_path: Path) -> None:
    files = certificate(tmp_path / "one") | {"tls_key": certificate(tmp_path / "other")["tls_key"]}
    settings = Settings(home=tmp_path, service_port=free_port(), **files)
    told = refused_start(serve_command(settings), settings)
    assert "VQI_TLS_KEY" in told
    assert "cannot be used" in told


def test_files_that_are_missing_are_told(tmp_path: Path) -> None:
    files = {"tls_certificate": tmp_path / "none.pem", "tls_key": tmp_path / "none.key"}
    settings = Settings(home=tmp_path, **files)
    with pytest.raises(SettingsError, match=r"cannot be used: .*No such file"):
        check_certificate(settings, str(settings.tls_certificate))
