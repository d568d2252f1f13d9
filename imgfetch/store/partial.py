"""A blob on its way into the store: what of it has come so far, kept across interruptions.

A partial download from an earlier run, or from another server, is hashed again before it is resumed (S35).  Only the
digest of the whole blob decides; if a resumed download does not match it, the download starts over with an empty file.
If a server sends the blob from its first byte instead of resuming, the new bytes overwrite the old ones in place, so an
interruption before the old end loses nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import ResumeError, TransportError, VerificationError
from imgfetch.files import BUFFER, Identity, storage_errors
from imgfetch.layers import content_encoding
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.source import Body
from imgfetch.store.permissions import FILE, is_private_file
from imgfetch.text import sanitize

_TRIES = 2  # once more from the first byte (F43)
_CODING_OVERHEAD = 64 * 1024  # by which a coding may make a body longer than its content
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW


class PartialBlob:
    """What has come of a blob; to be used in a ``with`` statement, by one thread, under the blob's claim.

    Attributes:
        descriptor: what is promised.
        size: bytes that are here, hashed.
        furthest: the largest `size` so far; 0 again after a mismatch, which a retry limit bounds.
    """

    def __init__(
        self,
        path: Path,
        descriptor: Descriptor,
        label: str,
        *,
        layer: Callable[[], DiffIdCheck] | None = None,
        advanced: Callable[[int], None] | None = None,
        copy: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """Open what is there.

        Args:
            path: where it stands.
            descriptor: what is promised.
            label: the blob's name in messages.
            layer: opens the check of a layer's decompressed stream.
            advanced: told of bytes that count from now on, or fewer than none where it is begun anew.
            copy: given each position and what stands there, a second time where it is begun anew.

        Raises:
            StorageError: it cannot be read or written.
        """
        self._path = path
        self.descriptor = descriptor
        self._label = label
        self._open_check = layer
        self._advanced = advanced or (lambda _: None)
        self._copy = copy or (lambda _position, _data: None)
        self.size = self.furthest = 0
        self._is_resumed = False
        with storage_errors(path, "write"):
            self._file = _opened(path)
        self._begin()

    def _begin(self) -> None:
        self._hasher = self.descriptor.digest.hasher()
        self._check = self._open_check() if self._open_check else None
        self._is_encoded = False

    def rehash(self) -> None:
        """Hash the rest of the file: the bytes of an earlier run, or those that a `restart` has not overwritten.

        Raises:
            StorageError: it cannot be read.
        """
        with storage_errors(self._path, "read"):
            while self.size <= self.descriptor.size and (chunk := self._file.read(BUFFER)):
                self._absorb(chunk)
        self._is_resumed = self.size > 0
        if self.size > self.descriptor.size:
            self.discard()

    def restart(self) -> None:
        """Go back to the first byte; the file keeps its bytes until new ones overwrite them."""
        with storage_errors(self._path, "write"):
            self._file.seek(0)
        self._advanced(-self.size)
        self.size = 0
        self._is_resumed = False
        self._begin()

    def discard(self) -> None:
        """Go back to the first byte with an empty file."""
        self.restart()
        self._trim()
        self.furthest = 0

    @property
    def is_full(self) -> bool:
        """Whether as much is here as was promised."""
        return self.size == self.descriptor.size

    def receive(self, source: Body) -> LayerInfo | None:
        """Write and hash what comes, and return what a layer turned out to hold, now that all of it is here and right.

        Args:
            source: begins where this ends, or at the first byte.

        Raises:
            TransportError: it broke off; what came is kept.
            VerificationError: size or digest differ, and nothing is kept; or a layer's data is damaged.
            ResumeError: they differ, and what was continued may be to blame.
            UnsupportedError: a layer cannot be decompressed by us.
            StorageError: it cannot be written.
        """
        if source.start != self.size:
            self.restart()
        self._is_resumed = self.size > 0
        self._is_encoded = self._is_encoded or bool(source.codings)
        size = self.descriptor.size
        room = size + 1 + (_CODING_OVERHEAD + size // 100 if source.codings else 0)
        for chunk in source.chunks(max(room - self.size, 0)):
            self._append(chunk)
        return self._judge(source.codings, source.name)

    def finish(self) -> LayerInfo | None:
        """Return what `receive` would, where nothing is missing.

        Raises:
            ImgfetchError: as for `receive`.
        """
        return self._judge()

    def close(self) -> None:
        """Leave the file for another run, unless it is empty."""
        self._file.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_size == 0:
                self._path.unlink()

    def rename_to(self, path: Path) -> Identity:
        """Rename what is here, which has been finished, and return the identity that it has under any name.

        Raises:
            StorageError: it cannot be renamed.
        """
        self._trim()
        with storage_errors(path, "write"):
            identity = Identity.of(self._file)
            self._file.close()
            self._path.replace(path)
        return identity

    def _trim(self) -> None:
        """Cut off the bytes of an earlier attempt that no new ones have overwritten."""
        with storage_errors(self._path, "write"):
            self._file.truncate(self.size)

    def _append(self, chunk: bytes) -> None:
        """Write the next bytes, and hash them."""
        with storage_errors(self._path, "write"):
            view = memoryview(chunk)
            while view:  # an unbuffered file may take less than it is given
                view = view[self._file.write(view) :]
        self._absorb(chunk)

    def _absorb(self, chunk: bytes) -> None:
        self._copy(self.size, chunk)
        self.size += len(chunk)
        self.furthest = max(self.furthest, self.size)
        self._hasher.update(chunk)
        if self._check is not None and not self._is_encoded:
            self._check.update(chunk)
        self._advanced(len(chunk))

    def _judge(self, codings: tuple[str, ...] = (), name: str = "") -> LayerInfo | None:
        """Decide about what is here, now that no more comes; the first row that applies counts.

        =======  ======  =======  =======  =====================================================================
        size     digest  codings  resumed  outcome
        =======  ======  =======  =======  =====================================================================
        equal    right   any      any      the blob
        any      any     some     any      decoded, for a proxy may have encoded it, and judged again (P77)
        smaller  wrong   none     any      broke off: `TransportError`; what is here is kept, and can be resumed
        any      any     any      yes      `ResumeError`; nothing is kept, for the earlier bytes may be wrong
        any      any     any      no       `VerificationError`; nothing is kept
        =======  ======  =======  =======  =====================================================================

        With a right digest and another size, the descriptor lies about the size.
        """
        if codings and not self._is_promised():
            self._decode(codings)
        if self._is_promised():
            return self._finish_layer()
        place = f" from {name}" if name else ""
        is_digest_right = self.descriptor.digest.matches(self._hasher)
        if self.size < self.descriptor.size and not is_digest_right and not codings:
            raise TransportError(
                f"{self._label} ({self.descriptor.digest}){place} broke off: "
                f"{self.size} of {self.descriptor.size} bytes came"
            )
        mismatch = self._mismatch(codings, place)
        self.discard()
        raise mismatch

    def _is_promised(self) -> bool:
        """Tell whether what is here is the blob that the descriptor promises."""
        return self.is_full and self.descriptor.digest.matches(self._hasher)

    def _mismatch(self, codings: tuple[str, ...], place: str) -> VerificationError:
        """Say what the blob should be and what is here (M12)."""
        digest, size = self.descriptor.digest, self.descriptor.size
        if self.is_full:
            wanted, got = str(digest), str(self._hasher.digest)
        else:
            wanted, got = f"{size} bytes", f"{self.size} bytes" if self.size < size else "more"
        coded = f", with content coding {sanitize(', '.join(codings))}" if codings else ""
        resumed = ", continued from an earlier attempt," if self._is_resumed else ""
        return (ResumeError if self._is_resumed else VerificationError)(
            f"{self._label} ({digest}){place}{coded}{resumed} is not what the manifest promises",
            wanted=wanted,
            got=got,
            hint="try again; if it stays so, a proxy or mirror alters the data (--no-mirror asks none), "
            "or the registry's copy is damaged",
            tries=_TRIES,
        )

    def _finish_layer(self) -> LayerInfo | None:
        if self._open_check is None:
            return None
        if self._check is None or self._is_encoded:
            self._check = self._open_check()
            with storage_errors(self._path, "read"):
                self._file.seek(0)
                for chunk in iter(lambda: self._file.read(BUFFER), b""):
                    self._check.update(chunk)
        return self._check.finish()

    def _decode(self, codings: tuple[str, ...]) -> None:
        """Replace what is here by what it is without its content codings, or by nothing if it cannot be decoded."""
        self._trim()
        try:
            with storage_errors(self._path, "write"), tempfile.TemporaryFile(dir=self._path.parent) as decoded:
                self._file.seek(0)
                encoded = iter(lambda: self._file.read(BUFFER), b"")
                for chunk in content_encoding.undo(encoded, codings, self.descriptor.size + 1, self._label):
                    decoded.write(chunk)
                decoded.seek(0)
                self.discard()
                for chunk in iter(lambda: decoded.read(BUFFER), b""):
                    self._append(chunk)
        except VerificationError as error:
            self.discard()
            raise error.replace(tries=_TRIES) from error.__cause__


def _opened(path: Path) -> BinaryIO:
    """Open what is left of a part, unless another user could change it after it was hashed; or make a new one."""
    file = os.fdopen(os.open(path, _FLAGS, FILE), "r+b", 0)
    if is_private_file(file):
        return file
    file.close()
    path.unlink()
    return os.fdopen(os.open(path, _FLAGS | os.O_EXCL, FILE), "r+b", 0)
