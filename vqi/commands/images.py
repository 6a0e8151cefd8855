"""`vqi similar`: the images that look most like a given one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from inspection.embedding_index import Neighbour
    from inspection.profiles import Profile

HEADINGS = ("rank", "image_id", "similarity", "label", "split", "camera", "captured", "path")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(similar)


def similar(
    image: Annotated[str, typer.Argument(help="Image id of the training dataset, or path of a file.")],
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many to show.")] = 10,
) -> None:
    """Show the images whose embeddings are nearest to an image's."""
    from inspection.embedding_index import find_nearest, read_vector
    from inspection.embeddings import embedding_digest
    from inspection.profiles import load_profile
    from inspection.settings import get_settings

    settings = get_settings()
    dsn, profile = settings.dsn("warehouse"), load_profile(settings.profile)
    digest = embedding_digest(profile)
    vector = read_vector(dsn, image, digest)
    known = vector is not None
    if vector is None:
        vector = _embed(image, profile)
    _print(find_nearest(dsn, vector, digest, count, leave_out=image if known else None))


def _embed(image: str, profile: Profile) -> NDArray[float32]:
    from inspection.errors import InsufficientDataError
    from inspection.learning.file_embedding import embed_file

    file = Path(image).expanduser()
    if not file.is_file():
        raise InsufficientDataError(
            f"{image!r} is no image id in the index of embeddings and no file: give the path of an image, or "
            "run `vqi materialize embedding_index` after its image has come into the training dataset"
        )
    return embed_file(file, profile)


def _print(found: list[Neighbour]) -> None:
    from rich.table import Table

    from vqi.console import page

    table = Table(*HEADINGS, box=None, pad_edge=False)
    for rank, each in enumerate(found, start=1):
        captured = "" if each.captured_at is None else each.captured_at.strftime("%Y-%m-%d %H:%M")
        told = (each.label, each.split, each.camera_id, captured, each.image_path)
        table.add_row(str(rank), each.image_id, f"{each.similarity:.5f}", *(text or "" for text in told))
    page().print(table)
