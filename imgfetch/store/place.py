"""One directory of verified content.

Layout::

    blobs/<algorithm>/<encoded>     content that hashes to its name, and nothing else
    layers/<algorithm>/<encoded>    findings about that blob's decompressed content, as JSON
    parts/<algorithm>/<encoded>     a partial download
    locks/, runs/, lock             the processes that use the directory; see `imgfetch.store.locks`

`PartialBlob` is the only way in.  It counts and hashes the bytes; verified content gets its name at the end.  A blob of
an earlier run is hashed again before its first use, and every blob while it is used.  Findings about layers are trusted
as they are; see `imgfetch.store.directory` for the reason.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from imgfetch.errors import StorageError, VerificationError
from imgfetch.files import Identity, storage_errors
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.store.claims import DIGITS, Claim, Locks
from imgfetch.store.directory import BLOBS, PARTS, StoreDirectory
from imgfetch.store.folder import Folder, NotRegularError
from imgfetch.store.partial import Advanced, PartialBlob, unnoticed
from imgfetch.store.verified import Copy, HashedFile, RememberedLayers, VerifiedFiles


class Brought(NamedTuple):
    """A blob that is in a store.

    Attributes:
        is_cached: true if it was there before.
        contents: the findings about a layer, if it has just been received.
    """

    is_cached: bool
    contents: LayerInfo | None = None


class Place:
    """Blobs by digest in one directory.  Several threads may use it.

    Every method raises `StorageError` if the directory cannot be used.

    Attributes:
        root: the directory's path.
        layers: findings about decompressed layers.
    """

    def __init__(self, directory: StoreDirectory, locks: Locks, interrupt: Callable[[], None]) -> None:
        """Take the directory and its locks; ``interrupt`` raises an error to stop whatever takes long."""
        self.root = directory.root
        self.layers = RememberedLayers(directory)
        self._directory = directory
        self._locks = locks
        self._interrupt = interrupt
        self._purpose = "use" if directory.is_cache else "write"
        self._verified = VerifiedFiles(interrupt)

    def prepare(self) -> None:
        """Create the directory, and check that it is usable.

        Raises:
            StorageError: it cannot be created, written or locked, or others can write to it, or it holds other data.
        """
        with storage_errors(self.root, self._purpose):
            self._directory.open()
            self._locks.prepare()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Protect blobs, present or not, from eviction by any process until the store is closed."""
        self.prepare()
        self._locks.reserve(digests)

    def close(self) -> None:
        """Release the reservations and the directory."""
        self._locks.close()
        self._directory.close()

    def has(self, descriptor: Descriptor) -> bool:
        """Return ``True`` if the blob is here and verified.

        Raises:
            VerificationError: the descriptor's size is wrong.
        """
        return self._verified.size(descriptor.digest) == descriptor.size or self.verify(descriptor)

    def size(self, digest: Digest) -> int | None:
        """Return the size of a blob's file, right or not, or ``None`` if there is none."""
        with self._reading(digest) as file:
            return os.fstat(file.fileno()).st_size if file else None

    def verify(self, descriptor: Descriptor, copy: Copy | None = None) -> bool:
        """Hash a blob, and return ``True`` if it is here and right; ``copy`` gets its bytes, right or not.

        Raises:
            VerificationError: the descriptor's size is wrong.
        """
        digest = descriptor.digest
        with self._reading(digest) as file:
            if file is None:
                return False
            is_private = self._directory.is_private
            if not self._verified.hash(digest, file, must_be_private=is_private, copy=copy):
                return False
            with suppress(OSError):  # a read-only cache needs no times, because nothing is evicted
                if os.fstat(file.fileno()).st_nlink == 1:  # else it may be a file elsewhere, too
                    os.utime(file.fileno())
        size = self._verified.size(digest)
        if size != descriptor.size:
            raise VerificationError(
                f"the size listed for {digest} is wrong", wanted=f"{descriptor.size} bytes", got=f"{size} bytes"
            )
        return True

    @contextmanager
    def _reading(self, digest: Digest) -> Iterator[BinaryIO | None]:
        """Open a blob's file, unless it is missing, wrong or no regular file."""
        with storage_errors(self.root, self._purpose):
            self._directory.open()
            try:
                file = self._directory.folder(BLOBS, digest.algorithm, make=False).open(digest.encoded)
            except (FileNotFoundError, NotRegularError, PermissionError):
                file = None
        if file is None:
            yield None
            return
        with file, storage_errors(self._path(digest), "read"):
            yield None if self._verified.is_wrong(digest, os.fstat(file.fileno())) else file

    def _path(self, digest: Digest) -> Path:
        return self.root / BLOBS / digest.algorithm / digest.encoded

    def is_verified(self, digest: Digest) -> bool:
        """Return ``True`` for a blob that this run has verified or stored here."""
        return self._verified.size(digest) is not None

    @contextmanager
    def open(self, digest: Digest) -> Iterator[HashedFile]:
        """Open a blob; at the end of the block, its bytes are verified once more as they were read.

        Raises:
            VerificationError: it has other content.
        """
        path = self._path(digest)
        try:
            with storage_errors(path, "read"):
                file = self._directory.folder(BLOBS, digest.algorithm, make=False).open(digest.encoded)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.replace(hint="it was removed during the command; run the command again") from error
            raise
        with file:
            hashed = HashedFile(file, digest, path)
            try:
                yield hashed
            except VerificationError:
                hashed.finish()  # changed bytes are the better explanation
                raise
            hashed.finish()

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

        Args:
            descriptor: the blob.
            label: its name in messages.
            receive: fills and verifies a partial download.
            wait: wait for another process that downloads it.
            layer: as for `PartialBlob`.
            advanced: as for `PartialBlob`.
            copy: gets the bytes while they are hashed, from the first one again whenever they were wrong.
        """
        self._interrupt()
        self.prepare()

        def is_here() -> bool:
            return self.verify(descriptor, copy) if copy else self.has(descriptor)

        if is_here():
            return Brought(is_cached=True)
        with self._claim(descriptor.digest, wait=wait) as claim:
            if claim is Claim.THEIRS:
                return None
            if is_here():  # by now
                return Brought(is_cached=True)
            if claim is Claim.OURS:
                self._remove_wrong(descriptor.digest)
            open_part = partial(
                PartialBlob,
                descriptor=descriptor,
                label=label,
                must_be_private=self._directory.is_private,
                layer=layer,
                advanced=advanced,
                copy=copy,
            )
            with self._part(descriptor.digest, claim, open_part) as part:
                contents = receive(part)
                self._commit(part, contents)
                return Brought(is_cached=False, contents=contents)

    def drop_part(self, digest: Digest) -> None:
        """Remove a partial download, unless another process continues it."""
        with self._claim(digest, wait=False) as claim, storage_errors(self.root, self._purpose):
            if claim is Claim.OURS:
                self._directory.folder(PARTS, digest.algorithm).remove(digest.encoded)

    def _claim(self, digest: Digest, *, wait: bool) -> AbstractContextManager[Claim]:
        def progress() -> object:
            """Return the state of all parts that the same claim is for."""
            with suppress(OSError, StorageError):
                folder = self._directory.folder(PARTS, digest.algorithm)
                shared = sorted(name for name in folder.names() if name.startswith(digest.encoded[:DIGITS]))
                return [(name, Identity.of_status(folder.status(name))) for name in shared]
            return None

        return self._locks.claim(digest, wait=wait, interrupt=self._interrupt, progress=progress)

    def _remove_wrong(self, digest: Digest) -> None:
        """Remove a file that is not the blob, unless another process has replaced it."""
        with storage_errors(self._path(digest), "remove"), suppress(FileNotFoundError):
            folder = self._directory.folder(BLOBS, digest.algorithm)
            status = folder.status(digest.encoded)
            if not stat.S_ISREG(status.st_mode) or self._verified.is_wrong(digest, status):
                folder.remove(digest.encoded)

    @contextmanager
    def _part(
        self, digest: Digest, claim: Claim, open_part: Callable[[Folder, str], PartialBlob]
    ) -> Iterator[PartialBlob]:
        """Open the partial download of a claimed blob; later runs can resume it, unless it is beside another's."""
        name = digest.encoded
        if claim is Claim.BESIDE:
            name += f".{secrets.token_hex(8)}"
        with storage_errors(self.root, self._purpose):
            folder = self._directory.folder(PARTS, digest.algorithm)
        part = open_part(folder, name)
        try:
            yield part
        finally:
            with suppress(OSError):
                part.close()
                if claim is Claim.BESIDE:
                    folder.remove(name)

    def _commit(self, part: PartialBlob, contents: LayerInfo | None) -> None:
        """Move a verified part to its final name, and keep the findings about it."""
        digest = part.descriptor.digest
        with storage_errors(self.root, self._purpose):
            folder = self._directory.folder(BLOBS, digest.algorithm)
        self._interrupt()
        part.move_to(folder, digest.encoded)
        self._verified.add(digest, part.size)
        if contents is not None:
            self.layers.add(digest, contents)

    def bytes_here(self, digest: Digest) -> int:
        """Return the number of bytes of a blob that are here, going by the sizes of files without verifying them."""
        here = 0
        for kind in (BLOBS, PARTS):
            with suppress(OSError, StorageError):
                here = max(
                    here, self._directory.folder(kind, digest.algorithm, make=False).status(digest.encoded).st_size
                )
        return here
