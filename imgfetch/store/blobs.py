"""A directory of verified content: the only place where trust is made.

Layout::

    blobs/<algorithm>/<encoded>     content that hashes to its name; nothing else ever stands there
    layers/<algorithm>/<encoded>    what was found when that blob was decompressed, as JSON
    parts/<algorithm>/<encoded>     what has come of a blob so far
    locks/, runs/, lock             who is at work here; see `imgfetch.store.locks`

`PartialBlob` is the only way in.  It counts and hashes what comes, and what is right gets its name at the end.
A blob that an earlier run left is hashed again before it is relied on, and whenever the file has changed since then.
What that run found in a layer is not found out again.  So nobody else may write here: a root that others can write to
is refused, and all below it is for this user alone; see `imgfetch.store.directory`.

Several processes may use one directory: who brings a blob claims it, and who needs one says so beforehand.
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
from imgfetch.store.directory import StoreDirectory
from imgfetch.store.locks import StoreLocks
from imgfetch.store.partial import PartialBlob
from imgfetch.store.permissions import make_directory, open_regular
from imgfetch.store.remembered import RememberedLayers
from imgfetch.store.verified import VerifiedFiles
from imgfetch.store.workspace import STORE

_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

_logger = logging.getLogger(__name__)


class BlobStore:
    """Blobs by digest, shared by everything that uses the same directory; safe to be used from several threads.

    Attributes:
        root: the directory.
        layers: what was found when layers were decompressed.
    """

    def __init__(self, root: Path) -> None:
        """Use a directory, which is made when it is needed.

        Args:
            root: the directory, on a file system of this machine.
        """
        self.root = root
        self._directory = StoreDirectory(root)
        self.layers = RememberedLayers(self._directory)
        self._verified = VerifiedFiles(self._check_open)
        self._locks = StoreLocks(root)
        self._is_closed = False

    def prepare(self) -> None:
        """Make the directory, and find out whether it can be used.

        Raises:
            StorageError: it cannot be made or written, or others may write to it.
        """
        with storage_errors(self.root, "use"):
            make_directory(self.root)
            self._directory.secure()
            self._locks.prepare()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Keep blobs, whether they are here or not, from being evicted by anybody until this is closed.

        Raises:
            StorageError: that cannot be said in the directory.
        """
        self.prepare()
        self._locks.reserve(digests)

    @contextmanager
    def claim(self, digest: Digest, *, wait: bool = True) -> Iterator[bool]:
        """Be the only one, of all threads and processes, who brings a blob.

        Args:
            digest: the blob.
            wait: until whoever brings it now is ready.

        Yields:
            whether it is ours, which without ``wait`` it may not be.

        Raises:
            StorageError: the directory cannot be used.
        """
        self._check_open()
        self.prepare()
        with self._locks.claim(digest, wait=wait, interrupt=self._check_open) as is_ours:
            yield is_ours

    def close(self) -> None:
        """Let nothing be written any more, and need nothing any more."""
        self._is_closed = True
        self._locks.close()

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is here and is what it is called; what is not goes away.

        Raises:
            VerificationError: the descriptor gives the blob a size that it does not have.
            StorageError: it cannot be read.
        """
        size = self._verified.size(descriptor.digest)
        if size is None:
            size = self._verify(descriptor.digest)
        if size is not None and size != descriptor.size:
            raise VerificationError(
                f"the size that is given for {descriptor.digest} is wrong",
                wanted=f"{descriptor.size} bytes",
                got=f"{size} bytes",
            )
        return size is not None

    def _verify(self, digest: Digest) -> int | None:
        """Hash what stands under a digest; return its size if it is that, and remove it if not."""
        path = self._directory.blob(digest)
        with storage_errors(self.root, "use"), suppress(FileNotFoundError):
            self._directory.secure()
            with open_regular(path) as file:
                with suppress(OSError):  # a cache that is read only has no need to know what was used last
                    os.utime(path)
                is_right = self._verified.hash(digest, file)
            if not is_right:
                with storage_errors(path, "remove"):
                    path.unlink(missing_ok=True)
        return self._verified.size(digest)

    @contextmanager
    def open(self, digest: Digest) -> Iterator[BinaryIO]:
        """Open a blob that `has` or `add` verified; what is read until the block ends is what was hashed.

        Raises:
            StorageError: it cannot be read.
            VerificationError: it was changed or exchanged, before the block or in it.
        """
        path = self._directory.blob(digest)
        with storage_errors(path, "read"):
            file = open_regular(path)
        with file:
            self._verified.refuse_changes(digest, file, path)
            yield file
            self._verified.refuse_changes(digest, file, path)

    def read(self, digest: Digest) -> bytes:
        """Return the whole of a small blob that `has` or `add` verified.

        Raises:
            StorageError: it cannot be read.
            VerificationError: it was changed or exchanged.
        """
        with self.open(digest) as file, storage_errors(self._directory.blob(digest), "read"):
            return file.read()

    def add(
        self, descriptor: Descriptor, source: Body, label: str, *, layer: Callable[[], DiffIdCheck] | None = None
    ) -> LayerInfo | None:
        """Add a blob if it is what its descriptor says, and return what a layer turned out to hold.

        Args:
            descriptor: what is promised.
            source: what comes, from the first byte on.
            label: the blob's name in messages.
            layer: opens the check of a layer's decompressed stream.

        Raises:
            ImgfetchError: as for `PartialBlob.receive`.
        """
        with self.claim(descriptor.digest), self.part(descriptor, label, layer=layer) as part:
            part.discard()
            return self.commit(part, part.receive(source))

    def put(self, descriptor: Descriptor, content: bytes) -> None:
        """Take in a document that is here already, unless it is in the store, and keep it from being evicted.

        Raises:
            VerificationError: it is not what its descriptor says.
            StorageError: it cannot be written.
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
        """Open what is here of a blob that is claimed; what is there when the block ends stays for another run.

        The arguments are those of `PartialBlob`.

        Raises:
            StorageError: it cannot be read or written.
        """
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
        """Give a part that was finished its name, and return what was found in it.

        Raises:
            StorageError: it cannot be had.
        """
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
        """Return how many bytes of blobs have yet to come, by what stands here unverified."""
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
            raise StorageError(f"{self.root} is not used any more")


def open_store(stack: ExitStack, cache_dir: str | os.PathLike[str] | None, workspace: Path | None = None) -> BlobStore:
    """Return the cache where it can be used, or else a store of this run's own.

    Args:
        stack: closes it.
        cache_dir: the cache, if one is wanted.
        workspace: where a file stands until it is whole, if one is written; the store may stand there too.

    Raises:
        StorageError: the directory is not to be trusted, or there is none to write to.
    """
    if cache_dir is not None:
        store = BlobStore(Path(cache_dir))
        stack.callback(store.close)
        try:
            store.prepare()
        except StorageError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_WRITABLE):
                raise
            _logger.warning("%s; going on without a cache", error)
        else:
            return store
    directory = workspace / STORE if workspace else None
    if directory is None:
        with storage_errors(Path(tempfile.gettempdir()), "write to"):
            temporary = tempfile.TemporaryDirectory(prefix="imgfetch-", ignore_cleanup_errors=True)
        directory = Path(stack.enter_context(temporary))
    store = BlobStore(directory)
    stack.callback(store.close)
    store.prepare()
    return store
