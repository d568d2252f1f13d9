"""The files of a store that were verified, each with its state at that time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import VerificationError
from imgfetch.files import BUFFER, Identity, storage_errors
from imgfetch.oci.digest import Digest
from imgfetch.store.permissions import is_private_file
from imgfetch.text import sanitize


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
        """Hash an open file; trust it and return ``True`` if its digest matches and no other user can change it.

        Raises:
            OSError: it cannot be read.
        """
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
            StorageError: it cannot be read.
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
