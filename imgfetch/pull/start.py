"""The first byte of each request for a blob, and the number of requests.

A server that would send the whole blob may refuse to resume in any way: with an error status, a redirect to storage
that fails, or a broken connection.  Therefore no response to a request with ``Range`` is final: `Start` sends one
without it next, and from then on a download has the attempts that it has with an empty cache.

The number of attempts is bounded whatever servers do.  The upstream gets ``retries + 1`` of them, and one more from
byte 0.  They are counted from 1 again only after progress: `PROGRESS` bytes beyond everything that responses of the
same kind brought before, or the first byte of the first response from byte 0.  The two kinds are responses from byte 0
and those to resume, so this happens at most twice a mebibyte.  Only a mismatch resets these marks, and each class of
mismatch has its own count:

1. `ResumeError`: a resumed download is wrong.  The second leads to requests from byte 0 only, which never raise it.
2. `VerificationError`: any other wrong size or content.  The second is raised, or if the request had ``Range``,
   followed by requests from byte 0 only.

A download in pieces that ends early (`imgfetch.registry.stream.AloneError`) uses up none of the attempts.  Afterwards
no piece comes from that place, or none of that blob, so it happens at most once for each place and once for the blob.
"""

from __future__ import annotations

import logging

from imgfetch.errors import ImgfetchError, VerificationError
from imgfetch.http.retries import NONE_LEFT, Postpone, Retrier
from imgfetch.oci import mediatypes
from imgfetch.store.partial import PartialBlob

PROGRESS = 1024 * 1024
"""An attempt that fails after so many new bytes uses up none of the attempts; see docs/registries.md#progress."""

_logger = logging.getLogger(__name__)


class Start:
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
        self._offset = self._furthest = self._whole = 0  # the last: bytes that a response from byte 0 brought, at most
        self._is_answered = False
        self._is_whole_next = self._is_whole_always = self._was_whole = False

    def next(self) -> int:
        """Return the first byte of the next request."""
        self._part.rehash()  # the bytes that the last request from byte 0 did not overwrite
        self._furthest = self._part.furthest
        self._offset = 0 if self._is_whole_next else self._part.size
        self._is_whole_next = self._is_whole_always
        self._is_answered = False
        return self._offset

    def answered(self, start: int) -> None:
        """Take the first byte of the response, because a server may ignore the offset."""
        self._offset = min(self._offset, start)
        self._is_answered = True

    def failed(self, error: ImgfetchError, postpone: Postpone | None = None) -> None:
        """Wait after a failure, unless that is postponed, and decide about the next request.

        Raises:
            ImgfetchError: ``error``, if no further request to this source makes sense.
        """
        is_rest, (gained, is_progress) = self._offset > 0, self._progress()
        if isinstance(error, VerificationError):
            self._whole = 0
        is_too_few = is_rest and gained < (1 if self._was_whole else PROGRESS)
        self._was_whole = self._was_whole or not is_rest
        left = self._attempts.failed(
            error, progressed=is_progress, has_other=is_too_few, is_idle=gained <= 0, postpone=postpone
        )
        if is_too_few and left <= 1:
            kind = "layer" if self._part.descriptor.media_type in mediatypes.LAYER_COMPRESSION else "blob"
            _logger.warning(
                "%s: could not resume the download at byte %d; downloading the whole %s", self._what, self._offset, kind
            )
            self._is_whole_next, self._is_whole_always = True, left == NONE_LEFT

    def _progress(self) -> tuple[int, bool]:
        """Return the number of bytes that the last response brought beyond the earlier ones, and if that is progress.

        Bytes of an earlier run are no measure for a response from byte 0.
        """
        if self._offset:
            gained = self._part.furthest - self._furthest
            return gained, gained >= PROGRESS
        before, reached = self._whole, self._part.size if self._is_answered else 0
        self._whole = max(before, reached)
        return reached - before, reached - before >= (PROGRESS if before else 1)
