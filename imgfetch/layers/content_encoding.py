"""HTTP content codings, decompressed within limits (docs/registries.md#content-encoding)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from imgfetch.errors import VerificationError
from imgfetch.layers.compression import decompressor
from imgfetch.layers.windows import WINDOWS
from imgfetch.text import quoted

MAX_CODINGS = 5

_OVERHEAD = 64 * 1024
_NAMES = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "zstd": "zstd"}


def undo(chunks: Iterable[bytes], codings: Sequence[str], limit: int, what: str) -> Iterator[bytes]:
    """Decode content codings, and yield at most ``limit`` bytes.

    Args:
        chunks: the body as received.
        codings: the codings in the order in which they were applied.
        limit: maximum number of decoded bytes.
        what: the body's name in messages.

    Raises:
        VerificationError: a coding is unknown, there are too many, or the data is damaged.
        UnsupportedError: a coding needs too much memory.
    """
    if len(codings) > MAX_CODINGS:
        raise VerificationError(f"{what} has {len(codings)} content codings, more than {MAX_CODINGS}")
    room = limit + limit // 100 + _OVERHEAD  # Coded data may be longer than its content.
    for left, coding in zip(reversed(range(len(codings))), reversed(codings), strict=True):
        if coding not in _NAMES:
            raise VerificationError(f"{what} has the content coding {quoted(coding)}, which imgfetch did not request")
        chunks = _undo(chunks, coding, room if left else limit, what)
    yield from chunks


def _undo(chunks: Iterable[bytes], coding: str, limit: int, what: str) -> Iterator[bytes]:
    with WINDOWS.lease() as lease:
        decoder = decompressor(_NAMES[coding], lease)
        for chunk in chunks:
            with _naming(what, coding):
                for piece in decoder.feed(chunk):
                    yield piece[:limit]
                    limit -= len(piece)
                    if limit <= 0:
                        return
        with _naming(what, coding):
            decoder.finish()


@contextmanager
def _naming(what: str, coding: str) -> Iterator[None]:
    try:
        yield
    except VerificationError as error:
        raise VerificationError(f"{what}, with content coding {coding}, is broken: {error}") from None
