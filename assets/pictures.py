"""Pictures of the object store in the Dagster UI."""

import base64

import dagster as dg

from inspection.artifacts import get_file
from inspection.store import ObjectStore


def picture(store: ObjectStore, key: str) -> dg.MarkdownMetadataValue:
    """Returns a PNG as metadata that the UI draws; it is inside, as a browser cannot read the store."""
    return inline_picture(key.split("/")[0], get_file(store, key))


def inline_picture(name: str, png: bytes) -> dg.MarkdownMetadataValue:
    """Returns a PNG as metadata that the UI draws."""
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})")
