"""Downloads layers into the store, several at a time, while the archive is being written.

If the system has no threads, each layer is downloaded when the archive needs it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Self

from imgfetch import threads
from imgfetch.defaults import MAX_LAYER
from imgfetch.errors import TransportError, VerificationError
from imgfetch.files import BUFFER
from imgfetch.http.retries import RetryPolicy
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Source
from imgfetch.progress import Progress
from imgfetch.pull.fetch import receive
from imgfetch.pull.layer import Layer
from imgfetch.store.blobs import BlobStore
from imgfetch.store.partial import PartialBlob
from imgfetch.tolerance import Tolerance

_GRACE = 0.5  # seconds for threads to end after `_stop`
_CHECK = 1.0  # seconds to look for a failure that a thread had no memory to announce
_BUSY = 0.1  # seconds until the next attempt to claim a blob that another process downloads


@dataclass(eq=False, repr=False)
class Downloads:
    """Downloads layers with worker threads, from the ``with`` statement on.  Leaving its block stops them.

    The first failure stops them all; `wait` and `arrivals` raise it.

    Attributes:
        layers: each blob once.
        source: the registries.
        store: receives the layers.
        jobs: the number of threads, at most.
        progress: called for every blob.
        tolerance: receives warnings of layers that some readers refuse.
        retries: the attempts at an upstream.
        max_layer_size: the size of a decompressed layer in bytes, at most.
        copy: called with a blob's digest, a position and the bytes there, while they are verified: all bytes of every
            layer, and again from its first byte whenever they were wrong.
        contents: the findings about each layer that has arrived.
    """

    layers: Sequence[Layer]
    source: Source
    store: BlobStore
    _: KW_ONLY
    jobs: int
    progress: Progress
    tolerance: Tolerance
    retries: RetryPolicy
    max_layer_size: int = MAX_LAYER
    copy: Callable[[Digest, int, bytes], None] | None = None

    def __post_init__(self) -> None:
        self.contents: dict[Digest, LayerInfo] = {}
        self._waiting = deque(self.layers)
        self._awaited = {layer.descriptor.digest for layer in self.layers}
        self._arrived: deque[Digest] = deque()
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        started = (threads.start(self._work, f"imgfetch-{n}") for n in range(min(self.jobs, len(self.layers))))
        self._threads = [thread for thread in started if thread]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        end = time.monotonic() + _GRACE
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join(max(0.0, end - time.monotonic()))

    def wait(self, digest: Digest) -> None:
        """Return when a blob is in the store; at once if it is not one of the layers."""
        self._wait_until(lambda: digest not in self._awaited)

    def arrivals(self) -> Iterator[Digest]:
        """Yield each layer's digest as soon as the layer is in the store."""
        for _ in self.layers:
            self._wait_until(lambda: bool(self._arrived))
            yield self._arrived.popleft()

    def _wait_until(self, is_done: Callable[[], bool]) -> None:
        """Wait for the threads to do something, or do it if there are none; raise the first failure."""
        if not self._threads:
            self._work(is_done)
        with self._changed:
            while not is_done() and self._failure is None:
                self._changed.wait(_CHECK)
            if self._failure is not None:
                raise self._failure

    def _work(self, is_done: Callable[[], bool] = lambda: False) -> None:
        passed = 0
        while True:
            with self._changed:
                if self._stopped or not self._waiting or is_done():
                    return
                layer = self._waiting.popleft()
            try:
                is_here = self._bring(layer)
            except BaseException as error:  # noqa: BLE001  # `wait` and `arrivals` raise it
                with self._changed:
                    self._failure = self._failure or error
                    self._changed.notify_all()
                self._stop()
                return
            with self._changed:
                if is_here:
                    self._awaited.discard(layer.descriptor.digest)
                    self._arrived.append(layer.descriptor.digest)
                    self._changed.notify_all()
                    passed = 0
                    continue
                # Another process downloads it: first try the others, and when none is left, wait a moment.
                self._waiting.append(layer)
                passed += 1
                if passed >= len(self._waiting) and not self._stopped:
                    self._changed.wait(_BUSY)

    def _stop(self) -> None:
        self.source.abort()  # first, so that no mirror's read that ends now is reported as the mirror's failure
        self.retries.stop()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _bring(self, layer: Layer) -> bool:
        """Download and check a layer; return ``False`` if another process downloads it now."""
        descriptor, diff_id = layer.descriptor, layer.diff_id
        item = layer.item

        def advanced(count: int, *, is_new: bool = True) -> None:
            self._end_if_stopped()
            (self.progress.advanced if is_new else self.progress.resumed)(item, count)

        def fill(part: PartialBlob) -> LayerInfo | None:
            self.progress.started(item)
            return receive(
                self.source,
                layer.reference,
                part,
                layer.what,
                retries=self.retries,
                interrupted=partial(self.progress.interrupted, item),
            )

        brought = self.store.bring(
            descriptor,
            layer.what,
            fill,
            wait=False,
            layer=partial(self._check, layer, diff_id.algorithm) if diff_id else None,
            advanced=advanced,
            copy=partial(self.copy, descriptor.digest) if self.copy else None,
        )
        if brought is None:
            return False
        if brought.is_cached:
            self.progress.started(item)
        if diff_id is not None:
            contents = brought.contents or self._cached(layer, diff_id.algorithm)
            self._check_contents(layer, contents)
            self.contents[descriptor.digest] = contents
        self.progress.finished(item, cached=brought.is_cached)
        return True

    def _check_contents(self, layer: Layer, contents: LayerInfo) -> None:
        """Compare a decompressed layer with the config, and warn of properties that some readers refuse."""
        if contents.diff_id != layer.diff_id:
            raise VerificationError(
                f"decompressed {layer.what} ({layer.descriptor.digest}, {contents.compression}) "
                "does not match the config",
                wanted=f"diff_id {layer.diff_id}",
                got=str(contents.diff_id),
                hint="the image is broken or was altered; try another tag, or tell the image's publisher",
            )
        for warning in contents.warnings(layer.media_types):
            self.tolerance.warn(f"{layer.what}: {warning}")

    def _cached(self, layer: Layer, algorithm: str) -> LayerInfo:
        """Return the findings of an earlier run about a layer, or decompress it again if there are none."""
        digest = layer.descriptor.digest
        contents = self.store.remembered(digest, algorithm)
        if contents is None:
            with closing(self._check(layer, algorithm)) as check, self.store.open(digest) as file:
                while chunk := file.read(BUFFER):
                    check.update(chunk)
                contents = check.finish()
            self.store.remember(digest, contents)
        return contents

    def _check(self, layer: Layer, algorithm: str) -> DiffIdCheck:
        return DiffIdCheck(
            layer.what,
            layer.descriptor.media_type,
            algorithm,
            limit=self.max_layer_size,
            interrupt=self._end_if_stopped,
        )

    def _end_if_stopped(self) -> None:
        if self._stopped:
            raise TransportError("stopped because another download failed")
