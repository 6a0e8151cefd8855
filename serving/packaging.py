"""Packs the service and one model into a Bento that runs without this repository.

A Bento holds `serving`, the parts of `inspection` that it needs, and the bundle; of Python packages it
names only what serving needs, with exact versions: ``requirements-cpu.lock`` or ``requirements-gpu.lock``.

    python -m serving.packaging MODEL
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from inspection.bundle import MANIFEST, PREFIX, load_bundle
from inspection.errors import ServiceError
from inspection.registry import ModelRegistry
from inspection.settings import Settings, get_settings
from inspection.store import ObjectStore, open_store
from serving.process import REPOSITORY, serve_environment

RECIPE = REPOSITORY / "deploy" / "bento"
LEFT_OUT = ("learning", "simulation", "importers", "__pycache__", "*.pyc", "packaged")


def build_bento(settings: Settings, model: str) -> Path:
    """Builds a Bento below the home's BentoML folder; needs no network.

    Args:
        settings: give object store and home.
        model: bundle id, or the beginning of one.

    Returns:
        The Bento's folder, which `serving.process.serve_command` takes as its target.

    Raises:
        RegistryError: there is no such model.
        BundleError: it must not be served.
        ServiceError: BentoML failed.
    """
    store = open_store(settings.artifacts_url)
    bundle_id = ModelRegistry(store).find(model)
    environment = serve_environment(settings)
    with tempfile.TemporaryDirectory(prefix="vqi-bento-") as folder:
        _lay_out(Path(folder), store, bundle_id)
        variables = [f"{name}={value}" for name, value in environment.items()]
        build = [sys.executable, "-m", "bentoml", "build", folder, "--output", "tag"]
        # A process of its own: BentoML imports the service from the folder, and here it is loaded already.
        done = subprocess.run(  # noqa: S603
            ["/usr/bin/env", *variables, *build],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    tag = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    if done.returncode != 0 or not tag.startswith("__tag__:"):
        raise ServiceError(f"bentoml build failed: {(done.stderr or done.stdout).strip()[-500:]}")
    name, built = tag.removeprefix("__tag__:").split(":")
    return Path(environment["BENTOML_HOME"]) / "bentos" / name / built


def _lay_out(folder: Path, store: ObjectStore, bundle_id: str) -> None:
    for package in ("serving", "inspection"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns(*LEFT_OUT))
    packaged = folder / "serving" / "packaged" / bundle_id
    packaged.mkdir(parents=True)
    for name in (*load_bundle(store, bundle_id).manifest.sha256, MANIFEST):
        (packaged / name).write_bytes(store.get(f"{PREFIX}/{bundle_id}/{name}"))
    for recipe in (RECIPE / "bentofile.yaml", *RECIPE.glob("*.lock")):
        shutil.copy(recipe, folder)


def main() -> None:
    """Builds a Bento of the model named on the command line and prints its folder."""
    parser = argparse.ArgumentParser(description="Pack the service and a model into a Bento.")
    parser.add_argument("model", help="bundle id, or the beginning of one")
    print(build_bento(get_settings(), parser.parse_args().model))


if __name__ == "__main__":
    main()
