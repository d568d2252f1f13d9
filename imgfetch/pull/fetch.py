"""Downloads one blob from the first source that serves it, and resumes interrupted downloads.

Every attempt sends a new request to the registry, for the missing bytes only, because the last redirect's URL or the
token may have expired (docs/registries.md#expired-signed-urls).  `PartialBlob` accepts the missing bytes and the whole
blob alike.  A mirror gets one attempt, the upstream as many as the `RetryPolicy` and the error allow.

A server that would send the whole blob may refuse to resume in any way: with an error status, a redirect to storage
that fails, or a broken connection.  Therefore no response to a request with ``Range`` is final: `_Start` sends one
without it next.

The number of attempts is bounded whatever servers do.  The upstream gets ``retries + 1`` of them, and one more from
byte 0.  They are counted from 1 again only after an attempt that gets `PROGRESS` bytes beyond `PartialBlob.furthest`:
at most once a mebibyte.  Only a mismatch resets that mark to 0, and each class of mismatch has its own count:

1. `ResumeError`: a resumed download is wrong.  The second leads to requests from byte 0 only, which never raise it.
2. `VerificationError`: any other wrong size or content.  The second is raised, or if the request had ``Range``,
   followed by requests from byte 0 only.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from imgfetch.errors import ImgfetchError, ResumeError, StorageError
from imgfetch.http.retries import NONE_LEFT, Retrier, RetryPolicy
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci import mediatypes
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.store.partial import PartialBlob

PROGRESS = 1024 * 1024
"""An attempt that fails after so many new bytes uses up none of the attempts; see docs/registries.md#progress."""

_logger = logging.getLogger(__name__)


def receive(
    source: Source, reference: Reference, part: PartialBlob, what: str, *, retries: RetryPolicy
) -> LayerInfo | None:
    """Download the missing bytes of a claimed blob, verify all of it, and return the findings about a layer.

    The blob is of the image ``reference``, and is called ``what`` in messages; ``retries`` has the attempts at the
    upstream, whose last error is raised.
    """
    part.rehash()
    if part.size:
        _logger.info("%s: resuming at %d of %d bytes", what, part.size, part.descriptor.size)
    if part.is_full:  # an earlier run ended after the last byte
        with suppress(ResumeError):
            return part.finish()
    *mirrors, upstream = source.mirrors(reference)
    for each in (*mirrors, upstream):
        start = _Start(part, what, retries.attempts(None if each is upstream else 1))
        while True:
            body = None
            try:
                with each.blob(reference, part.descriptor, what, offset=start.next()) as body:
                    start.answered(body.start)
                    return part.receive(body)
            except ImgfetchError as error:
                # With a body, a StorageError is about the store's disk; without, about a file such as a certificate.
                if retries.is_stopped or (body is not None and isinstance(error, StorageError)):
                    raise
                try:
                    start.failed(error)
                except ImgfetchError:
                    if each is upstream:
                        raise
                    break  # a mirror, which has reported it: the next source
    raise AssertionError("the upstream's last error is raised")


class _Start:
    """The byte at which the next request to a source starts: the first missing one, or 0 for the whole blob.

    After a request for the rest, the numbers of its new bytes and of the attempts left decide:

    =======  =========  ===========================================================
    bytes    attempts   next request
    =======  =========  ===========================================================
    enough   any        the rest
    too few  2 or more  the rest
    too few  1          the whole blob, this once
    too few  none       the whole blob from now on; a mirror gets a second request
    =======  =========  ===========================================================

    Enough is one byte, but `PROGRESS` before the first request for the whole blob: a server may end ranges early.
    """

    def __init__(self, part: PartialBlob, what: str, attempts: Retrier) -> None:
        self._part = part
        self._what = what
        self._attempts = attempts
        self._offset = self._furthest = 0
        self._is_whole_next = self._is_whole_always = self._was_whole = False

    def next(self) -> int:
        """Return the first byte of the next request."""
        self._part.rehash()  # the bytes that the last request from byte 0 did not overwrite
        self._furthest = self._part.furthest
        self._offset = 0 if self._is_whole_next else self._part.size
        self._is_whole_next = self._is_whole_always
        return self._offset

    def answered(self, start: int) -> None:
        """Take the first byte of the response, because a server may ignore the offset."""
        self._offset = min(self._offset, start)

    def failed(self, error: ImgfetchError) -> None:
        """Wait after a failure, and decide about the next request.

        Raises:
            ImgfetchError: ``error``, if no further request to this source makes sense.
        """
        gained = self._part.furthest - self._furthest
        is_too_few = self._offset > 0 and gained < (1 if self._was_whole else PROGRESS)
        self._was_whole = self._was_whole or self._offset == 0
        left = self._attempts.failed(error, progressed=gained >= PROGRESS, has_other=is_too_few)
        if is_too_few and left <= 1:
            kind = "layer" if self._part.descriptor.media_type in mediatypes.LAYER_COMPRESSION else "blob"
            _logger.warning(
                "%s: could not resume the download at byte %d; downloading the whole %s", self._what, self._offset, kind
            )
            self._is_whole_next, self._is_whole_always = True, left == NONE_LEFT
