"""Bodies on their way in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from serving.uploads import Uploads

NEVER = 60.0  # seconds


class Client:
    """Sends what it is told to, and then nothing until it is told to go on."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.go_on = asyncio.Event()
        self.waits = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        self.waits.set()
        await self.go_on.wait()
        yield b"end"


async def collect(uploads: Uploads, client: Client) -> asyncio.Task[bytes | None]:
    task = asyncio.create_task(uploads.collect(client, 1000, 0))
    await client.waits.wait()
    return task


async def finish(client: Client, task: asyncio.Task[bytes | None]) -> bytes | None:
    client.go_on.set()
    return await task


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [([], b"end"), ([b"a", b"", b"b"], b"abend"), ([b"a" * 997], b"a" * 997 + b"end"), ([b"a" * 998], None)],
    ids=["nothing", "chunks", "full", "one byte too many"],
)
def test_a_body_is_what_was_sent_or_too_large(chunks: list[bytes], expected: bytes | None) -> None:
    async def run() -> bytes | None:
        client = Client(*chunks)
        return await finish(client, await collect(Uploads(NEVER), client))

    assert asyncio.run(run()) == expected


def test_the_oldest_makes_room_when_there_are_too_many() -> None:
    async def run() -> None:
        uploads = Uploads(NEVER, most=2)
        clients = [Client(bytes([number])) for number in range(4)]
        tasks = [await collect(uploads, client) for client in clients]
        for task in tasks[:2]:
            with pytest.raises(TimeoutError):
                await task
        assert [await finish(*each) for each in zip(clients[2:], tasks[2:], strict=True)] == [
            b"\2end",
            b"\3end",
        ]

    asyncio.run(run())


def test_the_oldest_makes_room_when_it_is_too_much() -> None:
    async def run() -> None:
        uploads = Uploads(NEVER, most_bytes=1000)
        clients = [Client(b"a" * 400), Client(b"b" * 400), Client(b"c" * 400)]
        first, *rest = [await collect(uploads, client) for client in clients]
        with pytest.raises(TimeoutError):
            await first
        for client, task in zip(clients[1:], rest, strict=True):
            assert len(await finish(client, task) or b"") == 403

    asyncio.run(run())


def test_what_is_done_takes_no_room() -> None:
    async def run() -> None:
        uploads = Uploads(NEVER, most=1, most_bytes=1000)
        for _ in range(3):
            client = Client(b"a" * 900)
            assert await finish(client, await collect(uploads, client))

    asyncio.run(run())


def test_one_alone_that_is_too_much_is_cut_off() -> None:
    async def run() -> None:
        with pytest.raises(TimeoutError):
            await Uploads(NEVER, most_bytes=10).collect(Client(b"a" * 20), 1000, 0)

    asyncio.run(run())


def test_a_client_may_take_so_long_and_no_longer() -> None:
    async def run() -> None:
        with pytest.raises(TimeoutError):
            await Uploads(0.01).collect(Client(b"a"), 1000, 0)

    asyncio.run(run())
