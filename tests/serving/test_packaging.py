"""The service as a package of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest
import yaml

from inspection.errors import RegistryError
from inspection.settings import Settings
from inspection.store import open_store
from serving.packaging import RECIPE, build_bento
from tests.conftest import free_port
from tests.serving.examples import METADATA, PNG, ROUTE, SCRATCHED, store_bundle
from tests.serving.plant import Service

# Present in this environment, absent on an edge box.
ABSENT = ("torch", "timm", "dagster", "dlt", "dbt", "ray", "onnx", "pandas", "pyarrow", "scipy", "sklearn")


def test_a_model_that_is_not_there_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no model"):
        build_bento(Settings(home=tmp_path), "feed")


@pytest.mark.slow
def test_a_bento_serves_its_bundle_without_the_learning_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("VQI_", "BENTOML_")):
            monkeypatch.delenv(name)
    settings = Settings(home=tmp_path / "home")
    model = store_bundle(open_store(settings.artifacts_url))
    bento = build_bento(settings, model[:12])

    told = yaml.safe_load((bento / "bento.yaml").read_text())
    assert told["service"] == "serving.service:InspectionService"
    required = (bento / "env" / "python" / "requirements.txt").read_text()
    assert set((RECIPE / "requirements-gpu.lock").read_text().split()) <= set(required.splitlines())
    assert not [name for name in ABSENT if f"\n{name}==" in required]
    source = bento / "src"
    assert (source / "serving" / "packaged" / model / "model.onnx").exists()
    assert (source / "requirements-cpu.lock").exists()
    assert not (source / "inspection" / "learning").exists()

    for name in ABSENT:
        (tmp_path / "absent").mkdir(exist_ok=True)
        (tmp_path / "absent" / f"{name}.py").write_text("raise ImportError('not on this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"))
    edge = Settings(
        home=tmp_path / "edge", service_port=free_port(), warehouse_dsn="postgresql://127.0.0.1:1/none"
    )
    edge.root.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    service = Service(edge, target=str(bento), folder=bento)
    try:
        service.wait()
        answer = httpx.post(service.url + ROUTE, params=METADATA, content=SCRATCHED, headers=PNG, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.json()["prediction"] == "FAIL"
        assert answer.json()["model_version"] == model
        assert list(tmp_path.glob(".cache/*")) == []  # where ONNX Runtime would keep what it reports
    finally:
        service.kill(signal.SIGTERM)
