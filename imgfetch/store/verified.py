"""The verification of a store's files, and the findings about layers."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import ImgfetchError, StorageError, VerificationError
from imgfetch.files import BUFFER, Identity, storage_errors
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.store.directory import LAYERS, StoreDirectory
from imgfetch.store.folder import is_private, is_secret
from imgfetch.text import sanitize

_MAX_NOTE = 4096

Copy = Callable[[int, bytes], None]
"""Takes a position in a blob, and the bytes there."""


class HashedFile:
    """A file whose content is hashed while it is read, once and from its first byte.

    A method raises `StorageError` if it cannot be read.
    """

    def __init__(self, file: BinaryIO, digest: Digest, path: Path) -> None:
        self._file = file
        self._digest = digest
        self._hasher = digest.hasher()
        self._path = path

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or all."""
        with storage_errors(self._path, "read"):
            piece = self._file.read(size)
        self._hasher.update(piece)
        return piece

    def readinto(self, buffer: memoryview, /) -> int:
        """Read bytes into a buffer, and return their number."""
        with storage_errors(self._path, "read"):
            count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]  # an unbuffered file has it
        self._hasher.update(buffer[:count])
        return count

    def finish(self) -> None:
        """Read the rest, and compare the whole file with its digest.

        Raises:
            VerificationError: it has other content.
        """
        while self.read(BUFFER):
            pass
        if not self._digest.matches(self._hasher):
            raise VerificationError(
                f"{sanitize(str(self._path))} was changed after it was verified",
                wanted=str(self._digest),
                got="other content",
                hint="run the command again; if it happens again, another program writes to the cache",
            )


class VerifiedFiles:
    """The sizes of verified files, by digest, and the identities of those that are wrong.  Threads may share it."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        """Take ``interrupt``, which is called while a file is hashed, and raises an error to stop that."""
        self._sizes: dict[Digest, int] = {}
        self._wrong: dict[Digest, Identity] = {}
        self._interrupt = interrupt

    def add(self, digest: Digest, size: int) -> None:
        """Add a file that was hashed while it was written."""
        self._sizes[digest] = size

    def size(self, digest: Digest) -> int | None:
        """Return the size of a verified blob."""
        return self._sizes.get(digest)

    def is_wrong(self, digest: Digest, status: os.stat_result) -> bool:
        """Return ``True`` for the file that `hash` refused, and not for one that has replaced it."""
        return self._wrong.get(digest) == Identity.of_status(status)

    def hash(self, digest: Digest, file: BinaryIO, *, must_be_private: bool, copy: Copy | None = None) -> bool:
        """Hash an open file; return ``True`` if its digest matches, and no other user can write to it if that counts.

        ``copy`` gets the bytes that are hashed.
        """
        status = os.fstat(file.fileno())
        hasher, size = digest.hasher(), 0
        if not must_be_private or is_private(status):
            while chunk := file.read(BUFFER):
                self._interrupt()
                hasher.update(chunk)
                if copy is not None:
                    copy(size, chunk)
                size += len(chunk)
            if digest.matches(hasher):
                self._sizes[digest] = size
                return True
        self._wrong[digest] = Identity.of_status(status)
        return False


class RememberedLayers:
    """Findings about decompressed layers, by the layers' digests, so that no later run decompresses them again.

    They are trusted as they are, because only the layer itself could confirm them.  Therefore a file counts only if no
    other user can have written to it; see `imgfetch.store.directory`.  Several threads may use it.
    """

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory

    def get(self, digest: Digest, algorithm: str) -> LayerInfo | None:
        """Return the findings about a layer with a ``diff_id`` in this algorithm, if there are any."""
        try:
            self._directory.open(make=False)
            if not self._directory.is_private:
                return None
            with self._directory.folder(LAYERS, digest.algorithm, make=False).open(digest.encoded) as file:
                if not is_secret(os.fstat(file.fileno())):
                    return None
                contents = LayerInfo.from_json(file.read(_MAX_NOTE))
        except (OSError, ImgfetchError):
            return None
        return contents if contents.diff_id.algorithm == algorithm else None

    def add(self, digest: Digest, contents: LayerInfo) -> None:
        """Keep the findings about a layer for the next run; if the disk is full, that run only takes longer."""
        with suppress(StorageError, OSError):
            self._directory.open()
            if not self._directory.is_private:
                return
            folder = self._directory.folder(LAYERS, digest.algorithm)
            folder.write(digest.encoded, contents.to_json())
            if not is_secret(folder.status(digest.encoded)):  # the file system keeps no modes
                folder.remove(digest.encoded)
