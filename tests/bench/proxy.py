"""Slow lines: proxies on the loopback with latencies, rates and faults, before a registry that has none of them.

A proxy passes bytes and knows nothing of HTTP. It runs in a thread of the benchmark, which otherwise only waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 256 * 1024
_PACED = 16 * 1024  # what passes at a time where there is a rate
_CREDIT = 0.05  # seconds by which a sleep may be too long without a loss
_IN_FLIGHT = 1024  # pieces on a line


@dataclass
class Line:
    """The properties of a proxy's lines, and what has happened on them.

    Attributes:
        rate: bytes a second that the server sends on each connection.
        total: bytes a second that it sends on all connections together.
        latency: seconds of a round trip; a new connection takes one, as TCP does.
        most: connections at a time; further ones are closed at once.
        lasts: bytes after which the server sends nothing more.
        breaks: close the connections then.
        lies: change a byte of each large piece.
        sent: bytes that the server sent.
        open: connections that are open.
    """

    rate: float = 0
    total: float = 0
    latency: float = 0
    most: int = 1_000_000
    lasts: float = float("inf")
    breaks: bool = False
    lies: bool = False
    sent: int = field(default=0, init=False)
    open: int = field(default=0, init=False)


class _Pace:
    """Bytes a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0

    async def wait(self, size: int) -> None:
        if self._rate:
            now = time.monotonic()
            self._free = max(self._free, now - _CREDIT) + size / self._rate
            await asyncio.sleep(self._free - now)


@contextmanager
def proxy(upstream: str, line: Line) -> Iterator[str]:
    """Pass connections to ``upstream``, and yield ``host:port`` of the proxy."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serve = _Proxy(upstream, line).serve
    start = asyncio.start_server(serve, "127.0.0.1", 0, limit=_PIECE, backlog=1024)
    server = asyncio.run_coroutine_threadsafe(start, loop).result(10)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Proxy:
    def __init__(self, upstream: str, line: Line) -> None:
        self._upstream = upstream.split(":")
        self._line = line
        self._total = _Pace(line.total)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass everything on, both ways, until one side ends."""
        if self._line.open >= self._line.most:
            writer.transport.abort()
            return
        self._line.open += 1
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.sleep(self._line.latency)
            up_reader, up_writer = await asyncio.open_connection(*self._upstream, limit=_PIECE)
            up = asyncio.create_task(self._pass(reader, up_writer))
            down = asyncio.create_task(self._pass(up_reader, writer, _Pace(self._line.rate)))
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            up_writer.transport.abort()
        self._line.open -= 1
        writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: _Pace | None = None
    ) -> None:
        """Pass on what comes; what the server sends has a pace."""
        flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)
        arrivals = asyncio.create_task(_arrive(flight, writer))
        try:
            while piece := await reader.read(_PACED if self._line.rate or self._line.total else _PIECE):
                if pace and not await self._paced(len(piece), pace):
                    break
                piece = _changed(piece) if pace and self._line.lies else piece
                await flight.put((time.monotonic() + self._line.latency / 2, piece))
            await flight.put((time.monotonic() + self._line.latency / 2, b""))
            await arrivals
        finally:
            arrivals.cancel()
            await asyncio.gather(arrivals, return_exceptions=True)

    async def _paced(self, size: int, pace: _Pace) -> bool:
        """Wait until bytes may pass; return whether they do."""
        line = self._line
        line.sent += size
        if line.sent > line.lasts and not line.breaks:
            await asyncio.Event().wait()  # until the client gives up
        await pace.wait(size)
        await self._total.wait(size)
        return line.sent <= line.lasts


async def _arrive(flight: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    while True:
        due, piece = await flight.get()
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        if not piece:
            return
        writer.write(piece)
        await writer.drain()


def _changed(piece: bytes) -> bytes:
    middle = len(piece) // 2
    is_large = len(piece) > _PACED // 2
    return piece[:middle] + bytes([piece[middle] ^ 1]) + piece[middle + 1 :] if is_large else piece
