"""Pictures of the object store in the Dagster UI."""

import base64

import dagster as dg

from inspection.artifacts import get_file
from inspection.store import ObjectStore


def picture(store: ObjectStore, key: str) -> dg.MarkdownMetadataValue:
    """Returns a PNG as metadata that the UI draws; it is inside, as a browser cannot read the store."""
    data = base64.b64encode(get_file(store, key)).decode()
    return dg.MetadataValue.md(f"![{key.split('/')[0]}](data:image/png;base64,{data})")
