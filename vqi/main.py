"""`vqi`, the command line: puts the commands together and tells errors in one line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from inspection.errors import InspectionError
from vqi.commands import (
    bench,
    images,
    importing,
    keys,
    models,
    ontology,
    pipeline,
    plant,
    reports,
    services,
    shadow,
    trace,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Visual quality inspection.")
services.register(app)
pipeline.register(app)
models.register(app)
shadow.register(app)
trace.register(app)
images.register(app)
reports.register(app)
bench.register(app)
app.add_typer(plant.simulate, name="simulate")
app.add_typer(importing.app, name="import")
app.add_typer(ontology.app, name="ontology")
app.add_typer(keys.app, name="keys")


@app.callback()
def _options(debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error.")) -> None:
    """Visual quality inspection: from plant data to verdicts."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0, 1 for a failure, 2 for misuse, 130 when interrupted. An error is one line on
        standard error, with the traceback before it when ``--debug`` stands anywhere on the line.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        return app([word for word in words if word != "--debug"], prog_name="vqi", standalone_mode=False) or 0
    except TyperException as error:
        message = error.format_message()
        if len(words) == 0 or message.lstrip().startswith("Usage:"):
            print(message, file=sys.stderr)  # no command was given, so this is the help page
            return error.exit_code
        return _complain(f"{message} (see `vqi --help`)", error.exit_code)
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, InspectionError):
            return _complain(str(error), 1)
        kind = type(error).__name__
        return _complain(f"unexpected {kind}: {error} (run it again with --debug to see where)", 1)


def _complain(message: str, code: int) -> int:
    print(f"vqi: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
