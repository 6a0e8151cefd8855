"""What the service's own environment holds: all that it imports, at the versions that were tested."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from packaging.utils import canonicalize_name

from tests.deploy.tools import DEPLOY
from tests.house.repository import source

ENGINES = ("cpu", "gpu")
UNWANTED = {"torch", "torchvision", "timm", "dagster", "dbt-core", "dlt", "ray", "onnx", "pandas", "pyarrow"}
# onnxruntime-gpu finds these in torch's environment otherwise, which brings no curand.
ADDED = {"nvidia-curand"}


def locked(path: Path) -> dict[str, str]:
    return dict(line.split("==") for line in source(path).split())


def requirements(engine: str) -> dict[str, str]:
    return locked(DEPLOY / "bento" / f"requirements-{engine}.lock")


def imported() -> set[str]:
    """Returns the packages that `serving` imports, itself or through `inspection`."""
    graph = grimp.build_graph(
        "serving", "inspection", include_external_packages=True, exclude_type_checking_imports=True
    )
    found = graph.find_upstream_modules("serving", as_package=True)
    return {name for name in found if "." not in name} - {"inspection"} - sys.stdlib_module_names


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_of_the_pipeline_is_in_it(engine: str) -> None:
    assert requirements(engine).keys() & UNWANTED == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_all_that_the_service_imports_is_in_it(engine: str) -> None:
    distributions = packages_distributions()
    needed = {name: {canonicalize_name(dist) for dist in distributions[name]} for name in imported()}
    needed["onnxruntime"] = {"onnxruntime", "onnxruntime-gpu"}
    assert {"bentoml", "onnxruntime", "psycopg2"} <= needed.keys()
    missing = {name: dists for name, dists in needed.items() if not dists & requirements(engine).keys()}
    assert missing == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_its_versions_are_those_that_are_tested(engine: str) -> None:
    tested = locked(Path("requirements.lock"))
    tested["onnxruntime"] = tested["onnxruntime-gpu"]
    other = {
        name: version
        for name, version in requirements(engine).items()
        if name not in ADDED and tested.get(name) != version
    }
    assert other == {}


def test_only_the_engine_makes_the_difference() -> None:
    cpu, gpu = (set(requirements(engine)) for engine in ENGINES)
    assert cpu - gpu == {"onnxruntime"}
    assert all(name == "onnxruntime-gpu" or name.startswith("nvidia-") for name in gpu - cpu)
    assert {"nvidia-cudnn-cu13", "nvidia-cublas"} <= gpu
