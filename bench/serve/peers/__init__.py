"""The same work behind other ways to serve it, each as its own documentation shows.

Each runs in a folder that holds ``bundle/<id>`` and ``threads``.
"""

from __future__ import annotations

from pathlib import Path

from bench.serve.work import Work


def work_here() -> Work:
    """Loads the work as the working folder tells."""
    (bundle,) = Path("bundle").iterdir()
    return Work(bundle, int(Path("threads").read_text(encoding="ascii")))
