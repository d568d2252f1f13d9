"""Downloads one blob into the store from the first source that serves it, and resumes a download that broke off.

Every attempt asks the registry anew, for the URL that it last redirected to may have expired and the token may have
ended (F49), and asks for what is missing only.  Whether a server sends that, or all from the first byte, the
`PartialBlob` receives it.  A mirror gets one attempt, the upstream as many as the table 2.0 gives it (P84, P85).

A server may refuse to resume in any way, although it would send the whole blob: with an error status, a redirect to
storage that fails, or a connection that breaks.  Therefore no answer to a request with ``Range`` is final: `_Start`
has one without it follow.

The number of attempts is bounded whatever servers do.  The upstream gets ``retries + 1`` of them, and one more from
byte 0.  They are counted from 1 again only after an attempt that reached `PROGRESS` bytes beyond all before it, which
happens at most once a mebibyte; bytes that had come before are no progress.  A mismatch sets that mark back to 0, and
each kind of mismatch ends the run the second time, or is followed by requests from byte 0 only.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from imgfetch.errors import ImgfetchError, ResumeError, StorageError
from imgfetch.http.retries import Retrier, RetryPolicy
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.store.blobs import BlobStore
from imgfetch.store.partial import PartialBlob

PROGRESS = 1024 * 1024
"""Bytes beyond all before it that an attempt has to bring to count for nothing when it fails (2.0)."""

_logger = logging.getLogger(__name__)


def fetch(
    source: Source, store: BlobStore, reference: Reference, descriptor: Descriptor, what: str, *, patience: RetryPolicy
) -> None:
    """Download a blob that is not a layer, unless it is in the store.

    Raises:
        ImgfetchError: what the source and the store raise.
    """
    if store.has(descriptor):
        return
    with store.claim(descriptor.digest):
        if not store.has(descriptor):
            with store.part(descriptor, what) as part:
                part.rehash()
                receive(source, store, reference, part, what, patience=patience)


def receive(
    source: Source, store: BlobStore, reference: Reference, part: PartialBlob, what: str, *, patience: RetryPolicy
) -> LayerInfo | None:
    """Download what is missing of a blob that is claimed, and return what a layer turned out to hold.

    Args:
        source: where to look.
        store: whose ``part`` it is.
        reference: the image that it is for.
        part: what is here of it, hashed.
        what: its name in messages.
        patience: how often to try.

    Raises:
        ImgfetchError: what the source and the store raise.
    """
    if part.is_full:  # an earlier run got all of it, and no further
        with suppress(ResumeError):
            return store.commit(part, part.finish())
    attempts = patience.attempts()
    *mirrors, upstream = source.mirrors(reference)
    for each in (*mirrors, upstream):
        start = _Start(part, what, attempts if each is upstream else None)
        while start.next():
            body = None
            try:
                with each.blob(reference, part.descriptor, what, offset=start.offset) as body:
                    start.answered(body.start)
                    return store.commit(part, part.receive(body))
            except ImgfetchError as error:
                # A StorageError is our disk's once there is a body; before, it is about a file such as a certificate.
                if patience.is_stopped or (body is not None and isinstance(error, StorageError)):
                    raise
                start.failed(error)
    raise AssertionError("the upstream's last error is raised")


class _Start:
    """The byte at which the next request to a source starts: the first missing one, or 0 if that has been refused.

    A request for the rest is refused if it brings nothing new, or little while nobody knows whether a request for the
    whole blob brings more.  Then the whole blob is requested: by the last attempt that is left, or, where no attempt
    is left for the rest, by all further ones, which are counted from 1.  A mirror has no attempts to count: it gets
    one request for the whole blob after one that was refused.

    Attributes:
        offset: that of the last request, or 0 where the server ignored it.
    """

    def __init__(self, part: PartialBlob, what: str, attempts: Retrier | None) -> None:
        """Begin with the first missing byte; ``attempts`` are those at the upstream, ``None`` at a mirror."""
        self._part = part
        self._what = what
        self._attempts = attempts
        self.offset = self._furthest = 0
        self._is_over = False
        self._is_whole = self._stays_whole = False
        self._was_whole = False

    def next(self) -> bool:
        """Tell whether to send another request, for which `offset` is set."""
        if self._is_over:
            return False
        self._part.rehash()  # the bytes that the last request from byte 0 did not get to
        self._furthest = self._part.furthest
        self.offset = 0 if self._is_whole else self._part.size
        self._is_whole = self._stays_whole
        return True

    def answered(self, start: int) -> None:
        """Note where the answer starts, for a server may ignore the offset."""
        self.offset = min(self.offset, start)

    def failed(self, error: ImgfetchError) -> None:
        """Decide what comes after a failure, when it is time for the next request.

        Raises:
            ImgfetchError: ``error``, where no further request to the upstream makes sense.
        """
        gained = self._part.furthest - self._furthest
        is_refused = self.offset > 0 and gained < (1 if self._was_whole else PROGRESS)
        self._was_whole = self._was_whole or self.offset == 0
        left = 0
        if self._attempts is not None:
            left = self._attempts.failed(error, progressed=gained >= PROGRESS, has_other=is_refused)
        if is_refused and left <= 1:
            _logger.warning(
                "%s: could not resume the download at byte %d; downloading the whole blob", self._what, self.offset
            )
            self._is_whole, self._stays_whole = True, left == 0
        self._is_over = self._attempts is None and not is_refused
