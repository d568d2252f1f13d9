"""The content of a store that was verified: the state of the files at that time, and the findings about layers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import ImgfetchError, StorageError, VerificationError
from imgfetch.files import BUFFER, Identity, atomic_write, storage_errors
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.store.directory import FILE, StoreDirectory, is_private_file, make_directory, open_regular
from imgfetch.text import sanitize

_MAX_NOTE = 4096


class VerifiedFiles:
    """The identities of verified files, by digest.  Several threads may use it."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        """Take ``interrupt``, which is called while a file is hashed, and raises an error to stop that."""
        self._identities: dict[Digest, Identity] = {}
        self._interrupt = interrupt

    def add(self, digest: Digest, identity: Identity) -> None:
        """Add a file that was hashed while it was written."""
        self._identities[digest] = identity

    def size(self, digest: Digest) -> int | None:
        """Return the size of a verified blob."""
        identity = self._identities.get(digest)
        return identity.size if identity else None

    def hash(self, digest: Digest, file: BinaryIO) -> bool:
        """Hash an open file; trust it and return ``True`` if its digest matches and no other user can change it."""
        identity = Identity.of(file)  # before the file is hashed, so that a change during that is noticed
        if not is_private_file(file):
            return False
        hasher = digest.hasher()
        while chunk := file.read(BUFFER):
            self._interrupt()
            hasher.update(chunk)
        if not digest.matches(hasher):
            return False
        self._identities[digest] = identity
        return True

    def refuse_changes(self, digest: Digest, file: BinaryIO, path: Path) -> None:
        """Hash an open blob again, unless it is the verified file in the same state.

        Raises:
            VerificationError: it has other content.
        """
        with storage_errors(path, "read"):
            if Identity.of(file) == self._identities.get(digest):
                return
            file.seek(0)
            if not self.hash(digest, file):
                raise VerificationError(
                    f"{sanitize(str(path))} was changed after it was verified",
                    wanted=str(digest),
                    got="other content",
                    hint="run the command again; if it happens again, another program writes to the cache",
                )
            file.seek(0)


class RememberedLayers:
    """Findings about decompressed layers, by the layers' digests, so that no later run decompresses them again.

    They are trusted as they are, because only the layer itself could confirm them.  Therefore a file counts only if no
    other user can have written to it; see `StoreDirectory.secure`.  Several threads may use it.
    """

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory

    def get(self, digest: Digest, algorithm: str) -> LayerInfo | None:
        """Return the findings about a layer with a ``diff_id`` in this algorithm, if there are any."""
        try:
            self._directory.secure()
            with open_regular(self._directory.layer(digest)) as file:
                if not is_private_file(file):
                    return None
                contents = LayerInfo.from_json(file.read(_MAX_NOTE))
        except (OSError, ImgfetchError):
            return None
        return contents if contents.diff_id.algorithm == algorithm else None

    def add(self, digest: Digest, contents: LayerInfo) -> None:
        """Keep the findings about a layer for the next run; if the disk is full, that run only takes longer."""
        path = self._directory.layer(digest)
        with suppress(StorageError, OSError):
            make_directory(path.parent)
            with atomic_write(path, mode=FILE, durable=False) as file:
                file.write(contents.to_json())
