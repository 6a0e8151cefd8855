"""Embeds one image file by the path that the images of the training dataset take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspection.cache import encode_frame
from inspection.errors import NotAnImageError
from inspection.imaging import load_frame
from inspection.learning.embedding import Embedder
from inspection.profiles import Profile


def embed_file(file: Path, profile: Profile) -> NDArray[np.float32]:
    """Returns the embedding of a file, float32 [D].

    Raises:
        ImageError: it is no usable image.
        SettingsError: as `Embedder`.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotAnImageError(f"{file} cannot be read: {error.strerror}") from error
    # Through the cache's JPEG as well: what is compared has seen the same.
    frame = encode_frame(load_frame(data, profile.cached_preprocessing).pixels)
    vector: NDArray[np.float32] = Embedder(profile.embedding)([frame])[0]
    return vector
