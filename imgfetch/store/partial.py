"""A partial download, kept across interruptions.

A partial download from an earlier run, or from another server, is hashed again before it is resumed
(docs/registries.md#partial-downloads).  Only the digest of the whole blob decides; if a resumed download does not match
it, the download starts over with an empty file.
If a server sends the blob from its first byte instead of resuming, the new bytes overwrite the old ones in place, so an
interruption before the old end loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Protocol

from imgfetch.errors import ResumeError, TransportError, VerificationError
from imgfetch.files import BUFFER, require_free_space, storage_errors
from imgfetch.layers import content_encoding
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.source import Body
from imgfetch.store.folder import Folder, NotRegularError, is_private
from imgfetch.store.window import Window
from imgfetch.text import sanitize

_TRIES = 2  # once more from the first byte; see docs/registries.md#wrong-bytes
_CODING_OVERHEAD = 64 * 1024  # bytes by which a content coding may lengthen a body


class Advanced(Protocol):
    """Receives how far a download is."""

    def __call__(self, count: int, *, is_new: bool = True) -> None:
        """Receive a number of bytes, negative when the download restarts; not new are those of an earlier attempt."""


def unnoticed(count: int, *, is_new: bool = True) -> None:
    """Ignore how far a download is."""
    del count, is_new


class PartialBlob:
    """A partial download, for one thread that has claimed the blob.

    Every method raises `StorageError` if the file cannot be read or written.

    Attributes:
        descriptor: the expected blob.
        size: the number of bytes that are here and hashed.
        furthest: the largest `size` so far; 0 again after a mismatch, which a retry limit bounds.
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        descriptor: Descriptor,
        label: str,
        *,
        must_be_private: bool = True,
        layer: Callable[[], DiffIdCheck] | None = None,
        advanced: Advanced = unnoticed,
        copy: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """Open the file, or create it.

        Args:
            folder: the file's directory.
            name: its name there.
            descriptor: the expected blob.
            label: the blob's name in messages.
            must_be_private: replace an existing file that another user can write to.
            layer: opens the check of a layer's decompressed stream.
            advanced: called with the numbers of bytes that are here.
            copy: called with each position and the bytes there; again from 0 when the download restarts.
        """
        self._folder = folder
        self._name = name
        self._path = folder.path / name
        self.descriptor = descriptor
        self._label = label
        self._open_check = layer
        self._advanced = advanced
        self._copy = copy or (lambda _position, _data: None)
        self.size = self.furthest = 0
        self._is_resumed = False
        self._check: DiffIdCheck | None = None
        with storage_errors(self._path, "write"):
            self._file = _opened(folder, name, must_be_private=must_be_private)
        self._begin()

    def _begin(self) -> None:
        self._end_check()
        self._hasher = self.descriptor.digest.hasher()
        self._check = self._open_check() if self._open_check else None
        self._is_encoded = False

    def window(self, size: int) -> Window:
        """Return room on the same disk for bytes that arrive early, unless the blob or the archive may need it."""
        needed = size + 2 * (self.descriptor.size - self.size)
        require_free_space([(self._folder.path, needed, "pieces of blobs")])
        return Window.beside(self._folder, size)

    def read(self, start: int, count: int) -> bytes:
        """Return bytes that are here; any thread may call this."""
        with storage_errors(self._path, "read"):
            return os.pread(self._file.fileno(), count, start)

    def rehash(self) -> None:
        """Hash the rest of the file: the bytes of an earlier run, or those that a `restart` has not overwritten."""
        with storage_errors(self._path, "read"):
            while self.size <= self.descriptor.size and (chunk := self._file.read(BUFFER)):
                self._absorb(chunk, is_new=False)
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
        """True if the expected number of bytes is here."""
        return self.size == self.descriptor.size

    def receive(self, source: Body) -> LayerInfo | None:
        """Write and hash the rest of the blob, verify it, and return the findings about a layer.

        Args:
            source: the content, from `size` or from the first byte.

        Raises:
            TransportError: the download was interrupted; the received bytes are kept.
            VerificationError: the size or digest differs, and nothing is kept; or a layer's data is damaged.
            ResumeError: the size or digest differs, perhaps because of the bytes before the resumed download.
            UnsupportedError: no decompressor for a layer.
        """
        if source.start != self.size:
            self.restart()
        self._is_resumed = self.size > 0
        self._is_encoded = self._is_encoded or bool(source.codings)
        size = self.descriptor.size
        room = size + 1 + (_CODING_OVERHEAD + size // 100 if source.codings else 0)
        for chunk in source.chunks(max(room - self.size, 0)):
            self._append(chunk)
        return self.finish(source.codings, source.name)

    def finish(self, codings: tuple[str, ...] = (), name: str = "") -> LayerInfo | None:
        """Decide at the end of a response, with the errors of `receive`; the first row that applies counts.

        =======  ======  =======  =======  =====================================================================
        size     digest  codings  resumed  outcome
        =======  ======  =======  =======  =====================================================================
        equal    right   any      any      the blob
        any      any     some     any      decoded, because a proxy may have encoded it, and decided again
        smaller  wrong   none     any      interrupted: `TransportError`; the bytes are kept, and can be resumed
        any      any     any      yes      `ResumeError`; nothing is kept, because the earlier bytes may be wrong
        any      any     any      no       `VerificationError`; nothing is kept
        =======  ======  =======  =======  =====================================================================

        If the digest is right and the size differs, the descriptor's size is wrong.
        See docs/registries.md#content-encoding.
        """
        if codings and not self._is_promised():
            self._decode(codings)
        if self._is_promised():
            return self._finish_layer()
        place = f" from {name}" if name else ""
        is_digest_right = self.descriptor.digest.matches(self._hasher)
        if self.size < self.descriptor.size and not is_digest_right and not codings:
            raise TransportError(
                f"{self._label} ({self.descriptor.digest}){place} was interrupted: "
                f"{self.size} of {self.descriptor.size} bytes received"
            )
        mismatch = self._mismatch(codings, place)
        self.discard()
        raise mismatch

    def close(self) -> None:
        """Keep the file for another run, unless it is empty."""
        self._end_check()
        self._file.close()
        with suppress(FileNotFoundError):
            if self._folder.status(self._name).st_size == 0:
                self._folder.remove(self._name)

    def move_to(self, folder: Folder, name: str) -> None:
        """Move the verified file to its final name."""
        self._trim()
        with folder.errors("write", name):
            self._file.close()
            self._folder.move(self._name, folder, name)

    def _end_check(self) -> None:
        """Free the memory of the check, also if an error keeps it."""
        if self._check is not None:
            self._check.close()
            self._check = None

    def _trim(self) -> None:
        """Cut off the bytes of an earlier attempt that no new ones have overwritten."""
        with storage_errors(self._path, "write"):
            self._file.truncate(self.size)

    def _append(self, chunk: bytes) -> None:
        with storage_errors(self._path, "write"):
            view = memoryview(chunk)
            while view:  # an unbuffered file may write only a part
                view = view[self._file.write(view) :]
        self._absorb(chunk)

    def _absorb(self, chunk: bytes, *, is_new: bool = True) -> None:
        self._copy(self.size, chunk)
        self.size += len(chunk)
        self.furthest = max(self.furthest, self.size)
        self._hasher.update(chunk)
        if self._check is not None and not self._is_encoded:
            self._check.update(chunk)
        self._advanced(len(chunk), is_new=is_new)

    def _is_promised(self) -> bool:
        """Return ``True`` if the bytes match the descriptor."""
        return self.is_full and self.descriptor.digest.matches(self._hasher)

    def _mismatch(self, codings: tuple[str, ...], place: str) -> VerificationError:
        """Return the error for bytes that do not match the descriptor."""
        digest, size = self.descriptor.digest, self.descriptor.size
        if self.is_full:
            wanted, got = str(digest), str(self._hasher.digest)
        else:
            wanted, got = f"{size} bytes", f"{self.size} bytes" if self.size < size else "more"
        coded = f", with content coding {sanitize(', '.join(codings))}" if codings else ""
        resumed = ", resumed from an earlier attempt," if self._is_resumed else ""
        return (ResumeError if self._is_resumed else VerificationError)(
            f"{self._label} ({digest}){place}{coded}{resumed} does not match the manifest",
            wanted=wanted,
            got=got,
            hint="try again with --no-mirror; if it still fails, check your proxy, or tell the registry's operator",
            tries=_TRIES,
        )

    def _finish_layer(self) -> LayerInfo | None:
        if self._open_check is None:
            return None
        if self._check is None or self._is_encoded:
            self._end_check()
            self._check = self._open_check()
            with storage_errors(self._path, "read"):
                self._file.seek(0)
                for chunk in iter(lambda: self._file.read(BUFFER), b""):
                    self._check.update(chunk)
        return self._check.finish()

    def _decode(self, codings: tuple[str, ...]) -> None:
        """Remove the content codings from the file; empty it if it cannot be decoded."""
        self._trim()
        self._end_check()
        try:
            with storage_errors(self._path, "write"), self._folder.unnamed() as decoded:
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


def _opened(folder: Folder, name: str, *, must_be_private: bool) -> BinaryIO:
    """Open an existing file, or create a new one if another user could change it, or another file with it."""
    with suppress(FileNotFoundError, NotRegularError, PermissionError):
        file = folder.open(name, os.O_RDWR)
        status = os.fstat(file.fileno())
        if status.st_nlink <= 1 and (is_private(status) or not must_be_private):
            return file
        file.close()
    folder.remove(name)
    return folder.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
