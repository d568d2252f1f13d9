"""An HTTP answer, read within bounds and never decoded behind our back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import requests

from imgfetch.decompress import decompressor
from imgfetch.errors import TransportError, VerificationError
from imgfetch.failures import mapped
from imgfetch.origin import Origin
from imgfetch.printable import clean
from imgfetch.printable import url as shown_url

MAX_SKIPPED_BODY = 64 * 1024
"""Bytes of an error's or redirect's body that are read at most (S26)."""
MAX_CODINGS = 5
CHUNK = 256 * 1024

_CODED_SLICE = 4096
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "zstd": "zstd"}


class Response:
    """An answer whose body has not been read.

    Attributes:
        status: the HTTP status.
        url: where it came from in the end, fit to be shown.
        origin: where it came from in the end.
    """

    def __init__(self, response: requests.Response, url: str) -> None:
        """Wrap an answer to a request for ``url``."""
        self._response = response
        self.status = response.status_code
        self.reason = clean(response.reason or "", 80)
        self.url = shown_url(url)
        self.origin = Origin.of(url)

    def header(self, name: str) -> str:
        """Return a header, or the empty string."""
        return self._response.headers.get(name, "")

    def headers(self, name: str) -> list[str]:
        """Return each line of a header that may occur several times (P40)."""
        return list(self._response.raw.headers.getlist(name))

    @property
    def name(self) -> str:
        """The host, for messages."""
        return str(self.origin)

    @property
    def codings(self) -> tuple[str, ...]:
        """The ``Content-Encoding``, in the order in which it was applied; empty for identity."""
        names = (name.strip().lower() for name in self.header("Content-Encoding").split(","))
        return tuple(name for name in names if name not in ("", "identity"))

    @property
    def content_length(self) -> int | None:
        """The ``Content-Length``, or ``None`` where there is none to rely on."""
        text = self.header("Content-Length").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield the body as it is on the wire, undecoded, at most ``limit`` bytes of it (P05, P76).

        Raises:
            TransportError: the connection broke, or nothing came for too long.
        """
        left = limit
        while left > 0:
            with mapped(self.url):
                chunk = self._response.raw.read(min(CHUNK, left), decode_content=False)
            if not chunk:
                return
            left -= len(chunk)
            yield chunk

    def document(self, limit: int, what: str) -> bytes:
        """Return a body of JSON, as its sender meant it.

        A ``Content-Encoding`` that we did not ask for is undone unless the bytes are JSON as they are (P77).

        Args:
            limit: bytes at most.
            what: the document's name in messages.

        Raises:
            TransportError: the connection broke.
            VerificationError: it is larger than ``limit``.
        """
        raw = b"".join(self.chunks(limit + 1))
        if self.codings and not raw.lstrip().startswith((b"{", b"[")):
            raw = b"".join(decoded([raw], self.codings, limit + 1))
        if len(raw) > limit:
            raise VerificationError(f"{what} is too large", wanted=f"{limit} bytes at most", got="more")
        return raw

    def excerpt(self) -> bytes:
        """Return the start of an error's body, whatever state the connection is in."""
        with suppress(TransportError, VerificationError):
            return self.document(MAX_SKIPPED_BODY, "the error body")
        return b""

    def close(self) -> None:
        """Read a short rest of the body, so that the connection can serve again, or give it up."""
        length = self.content_length
        if length is not None and length <= MAX_SKIPPED_BODY:
            with suppress(TransportError):
                for _ in self.chunks(length + 1):
                    pass
        self._response.close()

    def abort(self) -> None:
        """End a read that another thread waits in."""
        with suppress(Exception):
            self._response.raw.shutdown()


def decoded(chunks: Iterable[bytes], codings: tuple[str, ...], limit: int) -> Iterator[bytes]:
    """Undo content codings, and yield at most about ``limit`` bytes (P77, S28).

    Raises:
        VerificationError: a coding is unknown, there are too many, or the data is damaged.
    """
    if len(codings) > MAX_CODINGS:
        raise VerificationError(f"the answer has {len(codings)} content codings, more than {MAX_CODINGS}")
    for coding in reversed(codings):
        if coding not in _CODINGS:
            raise VerificationError(f"the answer has the content coding {clean(coding)!r}, which was not asked for")
        chunks = _undo(chunks, _CODINGS[coding], limit)
    yield from chunks


def _undo(chunks: Iterable[bytes], coding: str, limit: int) -> Iterator[bytes]:
    out: list[bytes] = []
    left = limit
    undo = decompressor(coding, out.append)
    for chunk in chunks:
        for start in range(0, len(chunk), _CODED_SLICE):
            undo.feed(chunk[start : start + _CODED_SLICE])
            for piece in out:
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    return
            out.clear()
    undo.finish()
