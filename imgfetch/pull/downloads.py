"""Downloads layers into the store, several at a time, while the archive is being written.

If the system has no threads, each layer is downloaded when the archive needs it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Self

from imgfetch import threads
from imgfetch.archive.tarlayout import Blob, UncompressedLayer
from imgfetch.defaults import MAX_LAYER
from imgfetch.errors import ImgfetchError, StorageError, TransportError, VerificationError
from imgfetch.files import BUFFER
from imgfetch.http.retries import RetryPolicy
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Source
from imgfetch.progress import Progress
from imgfetch.pull.arrivals import Arrivals
from imgfetch.pull.crew import Crew
from imgfetch.pull.fetch import receive
from imgfetch.pull.layer import Key, Layer
from imgfetch.store.blobs import BlobStore
from imgfetch.store.partial import PartialBlob
from imgfetch.tolerance import Tolerance

_logger = logging.getLogger(__name__)

SMALL = 1024 * 1024
"""The size in bytes of a layer that takes little longer than the wait for its first byte."""
_SMALL_JOBS = 8
_GRACE = 0.5  # seconds for threads to end after `_stop`
_CHECK = 1.0  # seconds to look for a failure that a thread had no memory to announce
_BUSY = 0.1  # seconds until the next attempt to claim a blob that another process downloads


@dataclass(eq=False, repr=False)
class Downloads:
    """Downloads layers with worker threads, from the ``with`` statement on.  Leaving its block stops them.

    The first failure stops them all, and `wait` raises it.

    Attributes:
        layers: each blob once, in the order in which to download them.
        source: the registries.
        store: receives the layers.
        jobs: the number of layers at a time, at most; if there are several, up to `_SMALL_JOBS` `SMALL` ones.
        progress: called for every blob.
        tolerance: receives warnings of layers that some readers refuse.
        retries: the attempts at an upstream.
        max_layer_size: the size of a decompressed layer in bytes, at most.
        keep_going: a failure stops nothing, unless it is of this machine.  The layer is downloaded elsewhere, or `wait`
            raises its first failure.
        copy: called with a blob, a position and the bytes there, while they are verified: all bytes of every layer, and
            those of a decompressed layer if it is decompressed; again from the first byte whenever they were wrong.
        connections: the connections to one registry or mirror, at most; none beyond those of the jobs if it is 1.
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
    keep_going: bool = False
    copy: Callable[[Blob, int, bytes], None] | None = None
    connections: int = 1

    def __post_init__(self) -> None:
        self._contents: dict[Key, LayerInfo] = {}
        self._decompressed: set[Key] = set()
        self._waiting = deque(self.layers)
        self._awaited: set[Key] = {layer.key for layer in self.layers}
        self._first: dict[Key, ImgfetchError] = {}
        self._failures: dict[Key, ImgfetchError] = {}
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._crew = Crew(self.connections if self.jobs > 1 else 1)

    def __enter__(self) -> Self:
        limits = [sys.maxsize] * self.jobs + [SMALL] * (_SMALL_JOBS - self.jobs if self.jobs > 1 else 0)
        for number, limit in enumerate(limits[: len(self.layers)]):
            thread = threads.start(partial(self._job, limit), f"imgfetch-{number}")
            if thread is None:
                break
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        end = time.monotonic() + _GRACE
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join(max(0.0, end - time.monotonic()))

    def wait(self, layers: Iterable[Layer]) -> None:
        """Return when layers are in the store, or raise the failure of one that ends the waiting."""
        keys = {layer.key for layer in layers}
        self._wait_until(lambda: keys.isdisjoint(self._awaited) or not keys.isdisjoint(self._failures))
        for key in keys & self._failures.keys():
            raise self._failures[key]

    def contents(self, layers: Iterable[Layer]) -> dict[Digest, LayerInfo]:
        """Return the findings about those layers that have arrived."""
        return {layer.descriptor.digest: self._contents[layer.key] for layer in layers if layer.key in self._contents}

    def copied(self, layers: Iterable[Layer]) -> set[Blob]:
        """Return the blobs of layers that have arrived of which all bytes were copied."""
        copied: set[Blob] = set()
        for layer in layers:
            copied.add(layer.descriptor.digest)
            if layer.diff_id and layer.key in self._decompressed:
                copied.add(UncompressedLayer(layer.descriptor.digest, layer.diff_id))
        return copied

    def leave(self, layers: Iterable[Layer]) -> None:
        """Download layers no more, except those that are on their way."""
        keys = {layer.key for layer in layers}
        with self._changed:
            left = [layer for layer in self._waiting if layer.key in keys]
            self._waiting = deque(layer for layer in self._waiting if layer.key not in keys)
        for layer in left:
            self.progress.failed(layer.item)

    def _wait_until(self, is_done: Callable[[], bool]) -> None:
        """Wait for the threads to do something, or do it if there are none; raise the first failure."""
        if not self._threads:
            self._work(is_done)
        with self._changed:
            while not is_done():
                if self._failure is not None:
                    raise self._failure
                self._changed.wait(_CHECK)

    def _job(self, limit: int) -> None:
        with self._crew.job():
            self._work(limit=limit)

    def _work(self, is_done: Callable[[], bool] = lambda: False, *, limit: int = sys.maxsize) -> None:
        """Bring the layers of up to ``limit`` bytes, or those until something is done."""
        passed = 0
        while True:
            with self._changed:
                layer = None if self._stopped or is_done() else self._next(limit)
                if layer is None:
                    return
            try:
                is_here = self._bring(layer)
            except BaseException as error:  # noqa: BLE001  # `wait` raises it
                if not self._failed(layer, error):
                    return
                continue
            with self._changed:
                if is_here:
                    self._awaited.discard(layer.key)
                    self._changed.notify_all()
                    passed = 0
                    continue
                # Another process downloads it: first try the others, and when none is left, wait a moment.
                self._waiting.append(layer)
                if limit < sys.maxsize:
                    return
                passed += 1
                if passed >= len(self._waiting) and not self._stopped:
                    self._changed.wait(_BUSY)

    def _next(self, limit: int) -> Layer | None:
        """Take the first waiting layer of up to ``limit`` bytes."""
        for index, layer in enumerate(self._waiting):
            if layer.descriptor.size <= limit:
                del self._waiting[index]
                return layer
        return None

    def stop(self) -> None:
        """End all downloads, and all waiting for them."""
        self.source.abort()  # first, so that no mirror's read that ends now is reported as the mirror's failure
        self.retries.stop()
        with self._changed:
            self._stopped = True
            self._failure = self._failure or _stopped()
            self._changed.notify_all()

    def _failed(self, layer: Layer, error: BaseException) -> bool:
        """Keep the error of a layer; return ``True`` if the others continue."""
        if isinstance(error, ImgfetchError) and not isinstance(error, StorageError):
            error = error.of_image(layer.reference.name, layer.what, layer.origin)
            if self.keep_going and not self._stopped:
                self._give_up(layer, error)
                return True
        with self._changed:
            self._failure = self._failure or error
        self.stop()
        return False

    def _give_up(self, layer: Layer, error: ImgfetchError) -> None:
        """Download a layer elsewhere, or not at all."""
        with self._changed:
            first = self._first.setdefault(layer.key, error)
            if layer.elsewhere:
                _logger.info("%s; trying %s", error, layer.elsewhere[0].reference.name)
                following, *rest = layer.elsewhere
                self._waiting.append(following._replace(media_types=layer.media_types, elsewhere=tuple(rest)))
                return
            self._failures[layer.key] = first
            self._changed.notify_all()
        self.progress.failed(layer.item)

    def _bring(self, layer: Layer) -> bool:
        """Download and check a layer; return ``False`` if another process downloads it now."""
        descriptor, diff_id = layer.descriptor, layer.diff_id
        item = layer.item

        def report(count: int, *, is_new: bool = True) -> None:
            (self.progress.advanced if is_new else self.progress.resumed)(item, count)

        def advanced(count: int, *, is_new: bool = True) -> None:
            self._end_if_stopped()
            arrivals(count, is_new=is_new)

        arrivals = Arrivals(report)

        def fill(part: PartialBlob) -> LayerInfo | None:
            self.progress.started(item)
            return receive(
                self.source,
                layer.reference,
                part,
                layer.what,
                retries=self.retries,
                interrupted=partial(self.progress.interrupted, item),
                crew=self._crew,
                small=layer.small,
                arrivals=arrivals,
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
            contents = brought.contents or self.store.remembered(descriptor.digest, diff_id.algorithm)
            if contents is None or brought.contents:
                self._decompressed.add(layer.key)
            contents = contents or self._decompress(layer, diff_id.algorithm)
            self._check_contents(layer, contents)
            self._contents[layer.key] = contents
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

    def _decompress(self, layer: Layer, algorithm: str) -> LayerInfo:
        """Return the findings about a layer that an earlier run has left without them."""
        digest = layer.descriptor.digest
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
            copy=partial(self.copy, UncompressedLayer(layer.descriptor.digest, layer.diff_id))
            if self.copy and layer.diff_id
            else None,
        )

    def _end_if_stopped(self) -> None:
        if self._stopped:
            raise _stopped()


def _stopped() -> TransportError:
    return TransportError("stopped because another download failed")
