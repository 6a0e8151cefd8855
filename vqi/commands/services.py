"""`vqi up`, `down`, `status`, `tune`: what runs on this machine, and how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inspection.settings import Settings
    from vqi.status import Status


TUNED_IMAGES = 8


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (up, down, status, tune):
        app.command()(command)


def up() -> None:
    """Start everything a person uses; safe to repeat."""
    from inspection.settings import get_settings
    from vqi.console import terminal
    from vqi.programs import ensure_started, programs

    settings, console = get_settings(), terminal()
    with console.status("starting") as line:
        for name in ensure_started(settings, announce=lambda name: line.update(f"starting {name}")):
            console.print(f"started {name}")
    for program in programs(settings).values():
        if program.port is not None:
            print(f"{program.name:18} {program.address}")
    if not settings.has_keys:
        print("The service has no API keys (`vqi keys create`), so it answers this machine only.")


def down() -> None:
    """Stop all that `vqi up` started, and nothing else."""
    from inspection.settings import get_settings
    from vqi.console import terminal
    from vqi.programs import stop_all

    with terminal().status("stopping"):
        stopped = stop_all(get_settings())
    print("stopped" if stopped else "nothing was running")


def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Tell what runs where, and which models serve."""
    from inspection.settings import get_settings
    from vqi.status import read_status

    settings = get_settings()
    found = read_status(settings)
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        _print_status(settings, found)


def tune(
    image: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="As the cameras send them; else the plant's newest."),
    ] = None,
) -> None:
    """Measure how many threads a part gets on this machine, for the service's next start.

    Nothing else should run meanwhile, the service included.
    """
    from inspection.bundle import load_bundle
    from inspection.errors import RegistryError
    from inspection.registry import ModelRegistry
    from inspection.settings import get_settings
    from inspection.store import open_store
    from inspection.tuning import tune as measure
    from vqi.console import progress_bars
    from vqi.filling import bar
    from vqi.line import newest_parts

    settings = get_settings()
    store = open_store(settings.artifacts_url)
    production = ModelRegistry(store).production()
    if production is None:
        raise RegistryError("no model is in production yet: approve one with `vqi approve MODEL`")
    bundle = load_bundle(store, production)
    files = image or [part.image_path for part in newest_parts(settings, TUNED_IMAGES)]
    with progress_bars():
        found = measure(
            bundle.in_precision(settings.precision),
            bundle.id,
            bundle.manifest.preprocessing,
            [file.read_bytes() for file in files],
            bar("tune"),
        )
    settings.tuning_file.parent.mkdir(parents=True, exist_ok=True)
    settings.tuning_file.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(found.machine)
    for threads, milliseconds in found.alone_ms.items():
        print(f"  one part, {threads} threads{milliseconds:>14.1f} ms")
    for crowd, rate in found.crowded_per_second.items():
        print(f"  lanes x threads {crowd:6}{rate:>10.1f} parts a second")
    print(
        f"one part gets {found.threads} threads; when there are more, {found.lanes} at a time get"
        f" {found.crowded_threads} each (restart the service: `vqi down`, `vqi up`)"
    )


def _print_status(settings: Settings, found: Status) -> None:
    from vqi.programs import states

    for name, state in states(settings).items():
        print(f"{name:18} {state}")
    for name, dsn in (("warehouse", found.warehouse_dsn), *found.sources):
        print(f"{name:18} {_without_password(dsn)}")
    addresses = {"Dagster": found.dagster_url, "service": found.service_url, "dbt docs": found.dbt_docs_url}
    for name, address in addresses.items():
        print(f"{name:18} {address}")
    print(f"{'production model':18} {found.production_model or 'none yet'}")
    print(f"{'shadow model':18} {found.shadow_model or 'none'}")


def _without_password(dsn: str) -> str:
    """Returns a libpq URI fit for a screen; ``--json`` gives it whole."""
    return re.sub(r"(?<=:)[^:@/]+(?=@)", "***", dsn)
