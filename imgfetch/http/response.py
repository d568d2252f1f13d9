"""HTTP response with a bounded, undecoded body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import requests

from imgfetch.errors import ImgfetchError, TransportError, VerificationError
from imgfetch.http import interrupt
from imgfetch.http.deadline import Deadline
from imgfetch.http.network_errors import mapped
from imgfetch.http.origin import Origin
from imgfetch.http.ratelimit import RateLimit, Share
from imgfetch.layers import content_encoding
from imgfetch.text import ServerText, shown_url

MAX_SKIPPED_BODY = 64 * 1024
"""Maximum bytes that are read of an error's body."""
_SKIP = 1.0
"""Seconds for the rest of a body that nobody needs; a new connection takes about as long."""
DOCUMENT_TIMEOUT = 120.0
"""Seconds for a whole document; layers have no such limit."""
CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes[ \t]+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)


class Response:
    """A response whose body has not been read.

    Attributes:
        url: the printable final URL.
        address: the final URL as sent, the base of relative URLs; the server that redirected to it chose it.
        start: the offset of the body's first byte in the whole content.

    Raises:
        TransportError: the connection failed or is too slow.
        VerificationError: a document is too large.
        UnsupportedError: decoding a document needs too much memory.
    """

    def __init__(
        self,
        response: requests.Response,
        url: str,
        deadline: Deadline | None = None,
        limit: RateLimit | None = None,
    ) -> None:
        """Wrap the response to a request for ``url``, whose connection keeps the deadline."""
        self._response = response
        self.status = response.status_code
        self.reason = ServerText(response.reason or "").shown(80)
        self.url = shown_url(url)
        self.origin = Origin.of(url)
        self.address = ServerText(url)
        self.start = 0
        self._deadline = deadline or Deadline()
        self._share = Share(limit or RateLimit())
        self._interrupt = interrupt.current()
        if self._interrupt:
            self._interrupt.watch(self.abort)

    def header(self, name: str) -> ServerText:
        """Return a header, or the empty text."""
        return ServerText(self._response.headers.get(name, ""))

    def headers(self, name: str) -> list[ServerText]:
        """Return all lines of a header that may occur several times."""
        return [ServerText(line) for line in self._response.raw.headers.getlist(name)]

    @property
    def name(self) -> str:
        """The host, for messages."""
        return str(self.origin)

    @property
    def codings(self) -> tuple[str, ...]:
        """The ``Content-Encoding``, in the order in which it was applied; empty for identity."""
        names = (name.strip().lower() for name in self.header("Content-Encoding").as_sent.split(","))
        return tuple(name for name in names if name not in ("", "identity"))

    @property
    def content_length(self) -> int | None:
        """The ``Content-Length``, or ``None`` if missing or malformed."""
        text = self.header("Content-Length").as_sent.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004

    def continues(self, offset: int, size: int, length: int | None = None) -> bool:
        """Return whether the ``Content-Range`` of a 206 covers exactly the requested bytes of ``size``.

        These are ``length`` from ``offset`` on, by default all.

        Source: RFC 9110, section 14.4: ``bytes first-last/(complete-length / "*")``, in one line.
        """
        if self.header("Content-Type").as_sent.strip().lower().startswith("multipart/"):
            return False  # its parts have ranges of their own
        lines = self.headers("Content-Range")
        match = _RANGE.fullmatch(lines[0].as_sent.strip()) if len(lines) == 1 else None
        if match is None:
            return False
        first, last, total = int(match[1]), int(match[2]), match[3]
        end = size if length is None else offset + length
        return first == offset and last == end - 1 and first <= last and (total == "*" or int(total) == size)

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes of the undecoded body, at the rate of the `RateLimit`."""
        while limit > 0:
            self.pause()
            if not (chunk := self._read(int(min(CHUNK, self._share.chunk, limit)))):
                break
            limit -= len(chunk)
            yield chunk

    def pause(self) -> None:
        """Wait until the `RateLimit` allows more bytes; `chunks` then does not wait for that."""
        self._share.pause()

    def _read(self, size: int) -> bytes:
        try:
            with mapped(self.url):
                chunk: bytes = self._response.raw.read1(size, decode_content=False)
        except TransportError as error:
            if came := self._deadline.shortfall:
                raise TransportError(
                    f"{self.origin} is too slow: {came} of {self.url}",
                    hint="run the same command again; --timeout SECONDS allows longer pauses",
                ) from error.__cause__
            raise
        self._deadline.count(len(chunk))
        self._share.received(len(chunk))
        return chunk

    def document(self, limit: int, label: str, *, timeout: float = DOCUMENT_TIMEOUT) -> bytes:
        """Return a JSON body of up to ``limit`` bytes; ``timeout`` is for all of it.

        It is read without pauses, because a late document would look like a slow server; the next one waits instead.
        An unrequested ``Content-Encoding`` is decoded unless the bytes are already JSON
        (docs/registries.md#content-encoding).
        """
        self._deadline.limit(timeout)
        try:
            raw = self._read_up_to(limit + 1)
        except TransportError as error:
            if self._deadline.is_over:
                late = f"{label} arrives too slowly from {self.origin}: incomplete after {timeout:g} s"
                raise TransportError(late) from error.__cause__
            raise
        if self.codings and not raw.lstrip().startswith((b"{", b"[")):
            raw = b"".join(content_encoding.undo([raw], self.codings, limit + 1, label))
        if len(raw) > limit:
            raise VerificationError(f"{label} exceeds {limit} bytes")
        return raw

    def _read_up_to(self, limit: int) -> bytes:
        body = bytearray()
        while len(body) < limit and (chunk := self._read(min(CHUNK, limit - len(body)))):
            body += chunk
        return bytes(body)

    def excerpt(self) -> ServerText:
        """Return the start of an error's body, or an empty text if it cannot be read."""
        with suppress(ImgfetchError):
            return text_of(self.document(MAX_SKIPPED_BODY, "the error body"))
        return ServerText("")

    def skip(self) -> None:
        """Receive the rest of a short body, so that the connection can be used again (docs/registries.md#connections).

        It is closed instead if the body is long, ends with the connection, or comes slowly.
        """
        size = 0 if self.header("Transfer-Encoding") else self.content_length
        if size is not None and size <= MAX_SKIPPED_BODY:
            with suppress(TransportError), self._deadline.within(_SKIP):
                self._read_up_to(MAX_SKIPPED_BODY + 1)

    def keep(self) -> None:
        """Let the connection be used again, after a request with HEAD, which has no body."""
        self._response.raw.drain_conn()

    def close(self) -> None:
        """Return the connection to the pool if the body was read to its end, and close it otherwise."""
        if self._interrupt:
            self._interrupt.watch(None)
        self._response.close()

    def abort(self) -> None:
        """End a read or a pause in another thread."""
        self._share.end()
        with suppress(Exception):
            self._response.raw.shutdown()


def text_of(body: bytes) -> ServerText:
    """Return the start of a body as text."""
    return ServerText(body[:MAX_SKIPPED_BODY].decode("utf-8", "replace"))
