"""Verified content by digest: in the cache, and after a failure of the cache in a temporary directory.

A blob gets its name here after its size and digest were verified, and nowhere else; see `imgfetch.store.place`.
"""

from __future__ import annotations

import errno
import io
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from imgfetch.errors import NoSpaceError, ResourceError, StorageError
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Embedded
from imgfetch.store.claims import ThreadLocks
from imgfetch.store.directory import STORE, StoreDirectory, UntrustedCacheError
from imgfetch.store.folder import Folder
from imgfetch.store.locks import StoreLocks
from imgfetch.store.partial import Advanced, PartialBlob, unnoticed
from imgfetch.store.place import Brought, Place
from imgfetch.store.verified import Copy, HashedFile

_MAX_DOCUMENTS = 16 * 1024 * 1024  # bytes in memory

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class BlobStore:
    """Blobs by digest.  Several threads may use one store.

    If the cache fails, for whatever reason, the store warns, and continues with a temporary directory.  Every method
    raises `StorageError` if neither can be used, and `UntrustedCacheError` if the cache must not be used.
    """

    def __init__(self, cache: Path | None, spare: Callable[[], Folder] | None = None) -> None:
        """Take the path of the cache, if any, and a function that opens a directory to use instead."""
        self._mutex = threading.RLock()
        self._is_closed = False
        self._left: list[Place] = []
        self._documents: dict[Digest, bytes] = {}
        self._room = _MAX_DOCUMENTS
        if cache is None and spare is None:
            raise ValueError("a store needs a directory")
        self._cache = self._at(cache) if cache else None
        self._place = self._cache or self._in(spare())  # type: ignore[misc]  # there is one
        self._spare = spare if self._cache else None

    def _at(self, root: Path) -> Place:
        directory = StoreDirectory(root)
        return Place(directory, StoreLocks(directory), self._check_open)

    def _in(self, parent: Folder) -> Place:
        return Place(StoreDirectory(parent.path / STORE, parent), ThreadLocks(), self._check_open)

    @property
    def root(self) -> Path:
        """The directory that receives blobs now."""
        return self._place.root

    @property
    def uses_cache(self) -> bool:
        """True if blobs are in the cache."""
        return self._place is self._cache

    def prepare(self) -> None:
        """Create the directory, and check that it is usable."""
        self._attempt(Place.prepare)

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Protect blobs, present or not, from eviction by any process until the store is closed."""
        wanted = tuple(digests)
        self._attempt(lambda place: place.reserve(wanted))

    def close(self) -> None:
        """End all writing, and release the reservations."""
        self._is_closed, self._spare = True, None
        for place in (self._place, *self._left):
            place.close()

    def has(self, descriptor: Descriptor) -> bool:
        """Return ``True`` if the blob is here and verified.

        Raises:
            VerificationError: the descriptor's size is wrong.
        """
        return self._attempt(lambda place: place.has(descriptor))

    def document(self, digest: Digest, limit: int) -> bytes | None:
        """Return the content of a document of at most ``limit`` bytes, or ``None`` if it is not here."""
        self.reserve([digest])
        size = self._attempt(lambda place: place.size(digest))
        if size is None or size > limit or not self.has(Descriptor("", digest, size)):
            return None
        return self.read(digest)

    @contextmanager
    def open(self, digest: Digest) -> Iterator[HashedFile]:
        """Open a blob; at the end of the block, its bytes are verified once more as they were read.

        Raises:
            VerificationError: it has other content.
        """
        place = next((place for place in self._left if place.is_verified(digest)), self._place)
        if (document := self._documents.get(digest)) is not None:
            yield HashedFile(io.BytesIO(document), digest, place.root)
            return
        with place.open(digest) as file:
            yield file

    def read(self, digest: Digest) -> bytes:
        """Return the content of a document."""
        with self.open(digest) as file:
            content = file.read()
        self._keep(digest, content)
        return content

    def _keep(self, digest: Digest, content: bytes) -> None:
        """Keep a document in memory, if it is right and there is room, because the cache may become unreadable."""
        hasher = digest.hasher()
        hasher.update(content)
        if digest.matches(hasher) and digest not in self._documents and len(content) <= self._room:
            self._documents[digest] = content
            self._room -= len(content)

    def put(self, descriptor: Descriptor, content: bytes) -> None:
        """Store and reserve a document.

        Raises:
            VerificationError: it does not match its descriptor.
        """
        self.reserve([descriptor.digest])
        self.bring(descriptor, str(descriptor.digest), lambda part: _from_start(part, content))
        self._keep(descriptor.digest, content)

    def bring(
        self,
        descriptor: Descriptor,
        label: str,
        receive: Callable[[PartialBlob], LayerInfo | None],
        *,
        wait: bool = True,
        layer: Callable[[], DiffIdCheck] | None = None,
        advanced: Advanced = unnoticed,
        copy: Copy | None = None,
    ) -> Brought | None:
        """Return a blob's state when it is here and verified, or ``None`` if another process downloads it.

        The arguments and errors are those of `Place.bring`, and the errors those of ``receive``.
        """
        received = 0

        def note(count: int, *, is_new: bool = True) -> None:
            nonlocal received
            received += count
            advanced(count, is_new=is_new)

        while True:
            place = self._place
            try:
                return place.bring(descriptor, label, receive, wait=wait, layer=layer, advanced=note, copy=copy)
            except StorageError as error:
                self._leave(place, error)
                note(-received)
                if isinstance(error, NoSpaceError):  # what has arrived only takes the room of others
                    with suppress(StorageError):
                        place.drop_part(descriptor.digest)

    def remembered(self, digest: Digest, algorithm: str) -> LayerInfo | None:
        """Return the findings about a layer with a ``diff_id`` in this algorithm, if there are any."""
        found = (place.layers.get(digest, algorithm) for place in (self._place, *self._left))
        return next(filter(None, found), None)

    def remember(self, digest: Digest, contents: LayerInfo) -> None:
        """Keep the findings about a layer for the next run."""
        self._place.layers.add(digest, contents)

    def bytes_missing(self, descriptors: Iterable[Descriptor]) -> int:
        """Return the number of bytes to download, going by the sizes of the files here without verifying them."""
        return sum(
            max(descriptor.size - self._place.bytes_here(descriptor.digest), 0)
            for descriptor in descriptors
            if not any(place.is_verified(descriptor.digest) for place in self._left)
        )

    def without_cache(self, error: StorageError) -> None:
        """Continue without the cache because of an error.

        Raises:
            StorageError: the error, if it is not the cache's.
        """
        self._leave(self._place, error)

    def _attempt(self, action: Callable[[Place], _Result]) -> _Result:
        while True:
            place = self._place
            try:
                return action(place)
            except StorageError as error:
                self._leave(place, error)

    def _leave(self, place: Place, error: StorageError) -> None:
        """Replace the cache by a temporary directory after its failure, unless another thread has done so.

        Raises:
            StorageError: ``error``, if it is not about the cache, or would hit the temporary directory too.
        """
        with self._mutex:
            if place in self._left and not self._is_closed:
                return
            is_its = error.path is not None and error.path.is_relative_to(place.root)
            is_final = isinstance(error, UntrustedCacheError) or _is_lack_of_this_process(error)
            if self._is_closed or self._spare is None or not is_its or is_final:
                raise error
            parent = self._spare()
            if isinstance(error, NoSpaceError) and _is_on_device(place.root, parent):
                raise error
            spare = self._in(parent)
            spare.prepare()
            self._left.append(place)
            self._place, self._spare = spare, None
            _logger.warning("%s; continuing without a cache", error)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageError(f"{self.root} is closed")


def is_usable(cache: Path) -> bool:
    """Return ``True`` if the next command will use a cache."""
    store = BlobStore(cache)
    try:
        store.prepare()
    except StorageError:
        return False
    finally:
        store.close()
    return True


def _is_lack_of_this_process(error: StorageError) -> bool:
    """Return ``True`` if another directory would not help, unlike with a file system for small files only."""
    cause = error.__cause__
    return isinstance(error, ResourceError) and not (isinstance(cause, OSError) and cause.errno == errno.EFBIG)


def _is_on_device(path: Path, folder: Folder) -> bool:
    with suppress(OSError):
        return path.stat().st_dev == folder.status().st_dev
    return False


def _from_start(part: PartialBlob, content: bytes) -> LayerInfo | None:
    part.discard()
    return part.receive(Embedded(content))
