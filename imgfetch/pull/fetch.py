"""Downloads one blob from the first source that serves it, and resumes interrupted downloads.

Every attempt sends a new request to the registry, for the missing bytes only, because the last redirect's URL or the
token may have expired (docs/registries.md#expired-signed-urls).  `PartialBlob` accepts the missing bytes and the whole
blob alike.  A mirror gets one attempt, the upstream as many as the `RetryPolicy` and the error allow:
`imgfetch.pull.start` bounds their number.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from imgfetch.errors import ImgfetchError, ResumeError, StorageError
from imgfetch.http.retries import RetryPolicy
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull.start import Start
from imgfetch.store.partial import PartialBlob

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
        start = Start(part, what, retries.attempts(None if each is upstream else 1))
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
