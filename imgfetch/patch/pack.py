"""Compression of the blocks of a patch, of two at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from types import ModuleType

from imgfetch import threads
from imgfetch.patch.compose import Draft
from imgfetch.patch.container import Block
from imgfetch.patch.frames import compress
from imgfetch.patch.layerfile import LayerFile
from imgfetch.patch.script import Span

_JOBS = 2
"""Frames that are compressed at a time, each in up to 220 MiB."""


def packed(drafts: Iterator[Draft], layers: Sequence[LayerFile], library: ModuleType) -> Iterator[Block]:
    """Yield blocks in order; ``layers`` are the old ones by number."""
    started = deque[_Packing]()
    try:
        for draft in drafts:
            started.append(_Packing(draft, layers, library))
            if len(started) == _JOBS:
                yield started.popleft().block()
        while started:
            yield started.popleft().block()
    finally:
        for packing in started:
            packing.join()


class _Packing:
    """A block that another thread compresses, if there is one."""

    def __init__(self, draft: Draft, layers: Sequence[LayerFile], library: ModuleType) -> None:
        self._draft, self._layers, self._library = draft, layers, library
        self._frame = b""
        self._error: BaseException | None = None
        self._thread = threads.start(self._run, "imgfetch-pack") if draft.content else None
        if self._thread is None:
            self._run()

    def block(self) -> Block:
        """Return the block, when it is compressed."""
        self.join()
        if self._error:
            raise self._error
        return Block(self._draft.script, self._frame)

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            prefix = b"".join(map(self._read, self._draft.script.prefix))
            self._frame = compress(self._draft.content, prefix, self._library) if self._draft.content else b""
        except BaseException as error:  # noqa: BLE001  # raised by `block`
            self._error = error

    def _read(self, span: Span) -> bytes:
        return self._layers[span.layer].read(span.position, span.length)
