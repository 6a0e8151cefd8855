"""Reading what a camera sends: counted while it streams, and never more of it in memory than allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

from fastapi import HTTPException, Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from inspection.errors import ImageTooLargeError
from inspection.imaging import MAX_BYTES
from serving import metrics
from serving.uploads import Uploads

IMAGE_TYPES = ("image/jpeg", "image/png")
MULTIPART = "multipart/form-data"
MAX_ENVELOPE = 64 * 2**10  # bytes of a multipart body beside the image
MAX_DRAIN = 16 * 2**20  # bytes past the limit that are thrown away, so that a client reads its 413
MAX_FIELDS = 20


class Upload(NamedTuple):
    """An image, and the metadata that came in the same body."""

    image: bytes
    fields: dict[str, str]


def media_type(request: Request) -> str:
    """Returns the request's content type without parameters.

    Raises:
        HTTPException: 415, it is none that the predict route takes.
    """
    found = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if found not in (*IMAGE_TYPES, MULTIPART):
        accepted = ", ".join((*IMAGE_TYPES, MULTIPART))
        raise HTTPException(415, f"content type {found or 'missing'!r}: send one of {accepted}")
    return found


async def read_upload(request: Request, uploads: Uploads) -> Upload:
    """Reads the image, and in a multipart body the fields beside it.

    Args:
        request: its body must not have been read.
        uploads: those that come in at the same time.

    Raises:
        ImageTooLargeError: more than 16 MiB; what comes after is not kept.
        HTTPException: 408 too slow, 415 content type, 422 a multipart body that is none.
    """
    multipart = media_type(request) == MULTIPART
    limit = MAX_BYTES + (MAX_ENVELOPE if multipart else 0)
    declared = int(request.headers.get("content-length", 0))
    if declared > limit and (declared > limit + MAX_DRAIN or "expect" in request.headers):
        raise _too_large()
    try:
        body = await uploads.collect(request.stream(), limit, MAX_DRAIN)
    except TimeoutError as error:
        metrics.CUT_OFF.labels("body").inc()
        detail = f"the image did not arrive within {uploads.seconds:g} s, or others needed the room"
        raise HTTPException(408, detail, headers={"Connection": "close"}) from error
    if body is None:
        raise _too_large()
    return await _open_multipart(request.headers, body) if multipart else Upload(body, {})


def _too_large() -> ImageTooLargeError:
    return ImageTooLargeError(f"more than {MAX_BYTES} bytes (16 MiB): send a smaller image")


class _InMemoryParser(MultiPartParser):
    """Keeps files in memory: the whole body is there already."""

    spool_max_size = MAX_BYTES + MAX_ENVELOPE + 1


async def _open_multipart(headers: Headers, body: bytes) -> Upload:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemoryParser(
        headers, stream(), max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_ENVELOPE
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(422, f"the multipart body does not parse: {error.message}") from error
    try:
        return await _split(form)
    finally:
        await form.close()


async def _split(form: FormData) -> Upload:
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    image = form.get("image")
    if not isinstance(image, UploadFile):
        raise HTTPException(422, "the multipart body needs a file in the field 'image'")
    return Upload(await image.read(), fields)
