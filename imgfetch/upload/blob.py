"""The upload of one blob: begun, continued after an interruption, or begun anew.

A blob of at most `CHUNK` bytes is sent in one request, and a larger one in chunks.  After each, the registry's new
address for the upload is kept.  After a failure the registry is asked how much of the upload it has.  A registry that
refuses chunks receives large blobs in one request, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

from imgfetch.archive.stored import changed
from imgfetch.errors import ImgfetchError, VerificationError
from imgfetch.http.body import Body
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.reference import Reference
from imgfetch.registry.uploads import LostUploadError, Upload, Uploads
from imgfetch.store.uploads import UploadNote
from imgfetch.upload.contents import Contents

CHUNK = 16 * 1024 * 1024
"""Bytes of a request; some registries and proxies refuse more than 20 to 100 MB."""

Advanced = Callable[[int], object]

_logger = logging.getLogger(__name__)


class Outgoing:
    """The bytes of a blob, which are hashed before they are sent for the first time.

    So a file that was changed after its verification is noticed before the registry has all of it.
    """

    def __init__(self, contents: Contents, blob: Descriptor, advanced: Advanced) -> None:
        """Take ``advanced``, which is called with the numbers of bytes that are sent, negative to take some back."""
        self._contents = contents
        self._blob = blob
        self._advanced = advanced
        self._hasher = blob.digest.hasher()
        self._hashed = self._shown = 0

    def begin_at(self, offset: int) -> None:
        """Continue at an offset; the bytes before it are hashed but not sent."""
        if offset > self._hashed:
            for _ in self._read(self._hashed, offset - self._hashed):
                pass
        if offset != self._shown:
            self._advanced(offset - self._shown)
            self._shown = offset

    def was_sent(self, count: int) -> None:
        """Take the number of bytes that an earlier run has sent."""
        self._shown = count

    def body(self, start: int, length: int) -> Body:
        """Return the body of a request with some of the bytes."""
        place = f"{start}-{start + length - 1}" if 0 < length < self._blob.size else ""
        return Body(length, partial(self._sent, start, length), content_range=place)

    def _sent(self, start: int, length: int) -> Iterator[bytes]:
        self.begin_at(start)
        for piece in self._read(start, length):
            yield piece
            self._shown += len(piece)
            self._advanced(len(piece))

    def _read(self, start: int, length: int) -> Iterator[bytes]:
        """Yield some bytes; the last ones of the blob only if its digest is right."""
        position = start
        for piece in self._contents.pieces(self._blob, start, length):
            if position == self._hashed:
                self._hasher.update(piece)
                self._hashed += len(piece)
                if self._hashed == self._blob.size and not self._blob.digest.matches(self._hasher):
                    raise changed(self._contents.name)
            position += len(piece)
            yield piece


class BlobUpload:
    """The upload of one blob to one repository."""

    def __init__(
        self, uploads: Uploads, repository: Reference, blob: Descriptor, outgoing: Outgoing, note: UploadNote
    ) -> None:
        self._uploads = uploads
        self._repository = repository
        self._blob = blob
        self._outgoing = outgoing
        self._note = note
        self._current: Upload | None = None
        self._is_continued = False

    def run(self, first: Upload, retries: RetryPolicy) -> None:
        """Send the blob, in several attempts if need be; ``first`` is an upload that was just begun."""
        attempts = retries.attempts()
        self._is_continued = first is self._current
        self._current = first
        while True:
            before = self._current.offset if self._current else 0
            try:
                self._send(self._current or self._begun())
            except ImgfetchError as error:
                if isinstance(error, (LostUploadError, VerificationError)):
                    self._learn(error)
                    self._current = None
                    self._note.forget()
                after = self._current.offset if self._current else 0
                attempts.failed(error, progressed=after > before)
            else:
                self._note.forget()
                return
            if self._uploads.has(self._repository, self._blob):  # only the response was lost
                return
            self._ask()

    def continued(self) -> Upload | None:
        """Return the upload of an earlier run, if there is one and the registry still has it.

        Whatever its address leads to, the blob can be sent from its beginning.
        """
        if address := self._note.address:
            self._current = Upload(address)
            try:
                self._ask(limit=2)
            except ImgfetchError as error:
                _logger.info("an upload of an earlier run cannot be continued: %s", error)
                self._current = None
                self._note.forget()
        return self._current

    def _ask(self, *, limit: int | None = None) -> None:
        """Compare the upload with the registry, which may have received more or less of it."""
        if self._current is not None:
            self._current = self._uploads.status(self._repository, self._blob, self._current, limit=limit)
            self._is_continued = True
        if self._current is None:
            self._note.forget()

    def _learn(self, error: ImgfetchError) -> None:
        """Note that a registry takes no chunks, if it refuses the first or second one of an upload without a break."""
        last = self._current
        if isinstance(error, LostUploadError) and last and not self._is_continued:
            self._uploads.takes_chunks &= not last.offset <= max(CHUNK, last.least) < self._blob.size

    def _begun(self) -> Upload:
        self._is_continued = False
        upload = self._uploads.begin(self._repository, self._blob)
        assert upload is not None  # noqa: S101  # nothing is mounted
        return upload

    def _send(self, upload: Upload) -> None:
        size = self._blob.size
        self._current = upload
        self._outgoing.begin_at(upload.offset)
        while self._uploads.takes_chunks and size - upload.offset > (chunk := max(CHUNK, upload.least)):
            if not upload.offset:
                self._note.keep(upload.address)
            body = self._outgoing.body(upload.offset, chunk)
            self._current = upload = self._uploads.append(self._repository, self._blob, upload, body)
            self._note.keep(upload.address)
        self._uploads.finish(
            self._repository, self._blob, upload, self._outgoing.body(upload.offset, size - upload.offset)
        )
