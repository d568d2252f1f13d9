"""A directory of verified content.

Layout::

    blobs/<algorithm>/<encoded>     content that hashes to its name, and nothing else
    layers/<algorithm>/<encoded>    findings about that blob's decompressed content, as JSON
    parts/<algorithm>/<encoded>     a partial download
    locks/, runs/, lock             the processes that use the directory; see `imgfetch.store.locks`

`PartialBlob` is the only way in.  It counts and hashes the bytes; verified content gets its name at the end.  A blob of
an earlier run is hashed again before its first use, and whenever the file has changed since then.  Findings about
layers are trusted as they are.  Therefore no other user may write here: a root that others can write to is refused, and
everything below it is for this user alone; see `imgfetch.store.directory`.

Several processes may use one directory: each claims the blobs that it downloads, and reserves those that it needs.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import StorageError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Body, Embedded
from imgfetch.store.directory import StoreDirectory, make_directory, open_regular
from imgfetch.store.locks import StoreLocks
from imgfetch.store.partial import PartialBlob
from imgfetch.store.verified import RememberedLayers, VerifiedFiles
from imgfetch.store.workspace import STORE

_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

_logger = logging.getLogger(__name__)


class BlobStore:
    """Blobs by digest, in a directory on a local file system.  Several threads may use one store.

    Every method raises `StorageError` if the directory cannot be used.

    Attributes:
        root: the directory, which is created when it is needed.
        layers: findings about decompressed layers.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._directory = StoreDirectory(root)
        self.layers = RememberedLayers(self._directory)
        self._verified = VerifiedFiles(self._check_open)
        self._locks = StoreLocks(root)
        self._is_closed = False

    def prepare(self) -> None:
        """Create the directory, and check that it is usable.

        Raises:
            StorageError: it cannot be created or written, or others can write to it.
        """
        with storage_errors(self.root, "use"):
            make_directory(self.root)
            self._directory.secure()
            self._locks.prepare()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Protect blobs, present or not, from eviction by any process until the store is closed."""
        self.prepare()
        self._locks.reserve(digests)

    @contextmanager
    def claim(self, digest: Digest, *, wait: bool = True) -> Iterator[bool]:
        """Lock a blob for download, against all other threads and processes, and yield whether it is held."""
        self._check_open()
        self.prepare()
        with self._locks.claim(digest, wait=wait, interrupt=self._check_open) as is_ours:
            yield is_ours

    def close(self) -> None:
        """End all writing, and release the reservations."""
        self._is_closed = True
        self._locks.close()

    def has(self, descriptor: Descriptor) -> bool:
        """Return ``True`` if the blob is here and verified; a file with other content is removed.

        Raises:
            VerificationError: the descriptor's size is wrong.
        """
        size = self._verified.size(descriptor.digest)
        if size is None:
            size = self._verify(descriptor.digest)
        if size is not None and size != descriptor.size:
            raise VerificationError(
                f"the size listed for {descriptor.digest} is wrong",
                wanted=f"{descriptor.size} bytes",
                got=f"{size} bytes",
            )
        return size is not None

    def _verify(self, digest: Digest) -> int | None:
        """Hash the file of a digest; return its size if the digest matches, and remove it otherwise."""
        path = self._directory.blob(digest)
        with storage_errors(self.root, "use"), suppress(FileNotFoundError):
            self._directory.secure()
            with open_regular(path) as file:
                with suppress(OSError):  # a read-only cache needs no times, because nothing is evicted
                    os.utime(path)
                is_right = self._verified.hash(digest, file)
            if not is_right:
                with storage_errors(path, "remove"):
                    path.unlink(missing_ok=True)
        return self._verified.size(digest)

    @contextmanager
    def open(self, digest: Digest) -> Iterator[BinaryIO]:
        """Open a blob that `has` or `add` verified; the block reads exactly the bytes that were hashed.

        Raises:
            VerificationError: it was changed or replaced, before or during the block.
        """
        path = self._directory.blob(digest)
        with storage_errors(path, "read"):
            file = open_regular(path)
        with file:
            self._verified.refuse_changes(digest, file, path)
            yield file
            self._verified.refuse_changes(digest, file, path)

    def read(self, digest: Digest) -> bytes:
        """Return the content of a small blob that `has` or `add` verified."""
        with self.open(digest) as file, storage_errors(self._directory.blob(digest), "read"):
            return file.read()

    def add(
        self, descriptor: Descriptor, source: Body, label: str, *, layer: Callable[[], DiffIdCheck] | None = None
    ) -> LayerInfo | None:
        """Add a blob from its first byte if it matches its descriptor, and return the findings about a layer.

        The arguments are those of `PartialBlob` and `PartialBlob.receive`, and so are the errors.
        """
        with self.claim(descriptor.digest), self.part(descriptor, label, layer=layer) as part:
            part.discard()
            return self.commit(part, part.receive(source))

    def put(self, descriptor: Descriptor, content: bytes) -> None:
        """Store and reserve a document.

        Raises:
            VerificationError: it does not match its descriptor.
        """
        self.reserve([descriptor.digest])
        if not self.has(descriptor):
            self.add(descriptor, Embedded(content), str(descriptor.digest))

    @contextmanager
    def part(
        self,
        descriptor: Descriptor,
        label: str,
        *,
        layer: Callable[[], DiffIdCheck] | None = None,
        advanced: Callable[[int], None] | None = None,
        copy: Callable[[int, bytes], None] | None = None,
    ) -> Iterator[PartialBlob]:
        """Open the partial download of a claimed blob; later runs can resume it.  The arguments are `PartialBlob`'s."""
        self._check_open()
        path = self._directory.part(descriptor.digest)
        with storage_errors(self.root, "use"):
            make_directory(path.parent)
        part = PartialBlob(path, descriptor, label, layer=layer, advanced=advanced, copy=copy)
        try:
            yield part
        finally:
            with suppress(OSError):
                part.close()

    def commit(self, part: PartialBlob, contents: LayerInfo | None) -> LayerInfo | None:
        """Move a verified part to its final name, and return the findings about it."""
        descriptor = part.descriptor
        path = self._directory.blob(descriptor.digest)
        with storage_errors(self.root, "use"):
            make_directory(path.parent)
        self._check_open()
        self._verified.add(descriptor.digest, part.rename_to(path))
        if contents is not None:
            self.layers.add(descriptor.digest, contents)
        return contents

    def bytes_missing(self, descriptors: Iterable[Descriptor]) -> int:
        """Return the number of bytes to download, going by the sizes of the files here without verifying them."""
        missing = 0
        for descriptor in descriptors:
            here = 0
            for path in (self._directory.blob(descriptor.digest), self._directory.part(descriptor.digest)):
                with suppress(OSError):
                    here = max(here, path.stat().st_size)
            missing += max(descriptor.size - here, 0)
        return missing

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageError(f"{self.root} is closed")


def open_store(stack: ExitStack, cache_dir: str | os.PathLike[str] | None, workspace: Path | None = None) -> BlobStore:
    """Return the cache if it is writable, or else a temporary store.

    Args:
        stack: closes the store.
        cache_dir: the cache, if any.
        workspace: the directory for a temporary store, if the output has one.

    Raises:
        StorageError: other users can write to the cache, or no directory is writable.
    """
    if cache_dir is not None:
        store = BlobStore(Path(cache_dir))
        stack.callback(store.close)
        try:
            store.prepare()
        except StorageError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_WRITABLE):
                raise
            _logger.warning("%s; continuing without a cache", error)
        else:
            return store
    if workspace is not None:
        directory = workspace / STORE
    else:
        with storage_errors(Path(tempfile.gettempdir()), "write to"):
            temporary = tempfile.TemporaryDirectory(prefix="imgfetch-", ignore_cleanup_errors=True)
        directory = Path(stack.enter_context(temporary))
    store = BlobStore(directory)
    stack.callback(store.close)
    store.prepare()
    return store
