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
from imgfetch.files import BUFFER, Identity, storing
from imgfetch.layers import content_encoding
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.source import Body
from imgfetch.store.permissions import FILE, is_private_file
from imgfetch.text import clean

_TRIES = 2  # once more from the first byte (F43)
_CODING_OVERHEAD = 64 * 1024  # by which a coding may make a body longer than its content
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW


class Part:
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
        what: str,
        *,
        layer: Callable[[], DiffIdCheck] | None = None,
        advanced: Callable[[int], None] | None = None,
        copy: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """Open what is there.

        Args:
            path: where it stands.
            descriptor: what is promised.
            what: the blob's name in messages.
            layer: opens the check of a layer's decompressed stream.
            advanced: told of bytes that count from now on, or fewer than none where it is begun anew.
            copy: given each position and what stands there, a second time where it is begun anew.

        Raises:
            StorageError: it cannot be read or written.
        """
        self._path = path
        self.descriptor = descriptor
        self._what = what
        self._open_layer = layer
        self._advanced = advanced or (lambda _: None)
        self._copy = copy or (lambda _position, _data: None)
        self.size = self.furthest = 0
        self._is_continued = False
        with storing(path, "write"):
            self._file = _opened(path)
        self._begin()

    def _begin(self) -> None:
        self._hasher = self.descriptor.digest.hasher()
        self._watch = self._open_layer() if self._open_layer else None
        self._is_coded = False

    def rehash(self) -> None:
        """Hash the rest of the file: the bytes of an earlier run, or those that a `restart` has not overwritten.

        Raises:
            StorageError: it cannot be read.
        """
        with storing(self._path, "read"):
            while self.size <= self.descriptor.size and (chunk := self._file.read(BUFFER)):
                self._absorb(chunk)
        self._is_continued = self.size > 0
        if self.size > self.descriptor.size:
            self.discard()

    def restart(self) -> None:
        """Go back to the first byte; the file keeps its bytes until new ones overwrite them."""
        with storing(self._path, "write"):
            self._file.seek(0)
        self._advanced(-self.size)
        self.size = 0
        self._is_continued = False
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

    def take(self, source: Body) -> LayerInfo | None:
        """Take what comes, and return what a layer turned out to hold, now that all of it is here and is right.

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
        self._is_continued = self.size > 0
        self._is_coded = self._is_coded or bool(source.codings)
        size = self.descriptor.size
        room = size + 1 + (_CODING_OVERHEAD + size // 100 if source.codings else 0)
        for chunk in source.chunks(max(room - self.size, 0)):
            with storing(self._path, "write"):
                _write_all(self._file, chunk)
            self._absorb(chunk)
        return self._finish(source)

    def finish(self) -> LayerInfo | None:
        """Return what `take` would, where nothing is missing.

        Raises:
            ImgfetchError: as for `take`.
        """
        return self._finish(None)

    def close(self) -> None:
        """Leave the file for another run, unless it is empty."""
        self._file.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_size == 0:
                self._path.unlink()

    def moved_to(self, path: Path) -> Identity:
        """Rename what is here, which has been finished, and return the identity that it has under any name.

        Raises:
            StorageError: it cannot be renamed.
        """
        self._trim()
        with storing(path, "write"):
            identity = Identity.of(self._file)
            self._file.close()
            self._path.replace(path)
        return identity

    def _trim(self) -> None:
        """Cut off the bytes of an earlier attempt that no new ones have overwritten."""
        with storing(self._path, "write"):
            self._file.truncate(self.size)

    def _absorb(self, chunk: bytes) -> None:
        self._copy(self.size, chunk)
        self.size += len(chunk)
        self.furthest = max(self.furthest, self.size)
        self._hasher.update(chunk)
        if self._watch is not None and not self._is_coded:
            self._watch.update(chunk)
        self._advanced(len(chunk))

    def _finish(self, source: Body | None) -> LayerInfo | None:
        descriptor = self.descriptor
        got = self._difference()
        if got is not None and source is not None and source.codings:
            # Not the blob itself, then perhaps a proxy's encoding of it (P77).
            try:
                self._undo(source.codings)
            except VerificationError as error:
                self.discard()
                raise error.replace(tries=_TRIES) from error.__cause__
            got = self._difference()
        is_short = self.size < descriptor.size and not descriptor.digest.matches(self._hasher)
        if got is not None and is_short and not (source and source.codings):
            raise TransportError(
                f"{self._what} ({descriptor.digest}) {'from ' + source.name + ' ' if source else ''}broke off: "
                f"{self.size} of {descriptor.size} bytes came"
            )
        if got is not None:
            mismatch = self._mismatch(got, source)
            self.discard()
            raise mismatch
        return self._contents()

    def _difference(self) -> str | None:
        """Return what is here, if it is not what was promised."""
        if self.size != self.descriptor.size:
            return f"{self.size} bytes" if self.size < self.descriptor.size else "more"
        if not self.descriptor.digest.matches(self._hasher):
            return str(self._hasher.digest)
        return None

    def _mismatch(self, got: str, source: Body | None) -> VerificationError:
        """Say what a blob should be and is (M12)."""
        coded = f", with content coding {clean(', '.join(source.codings))}" if source and source.codings else ""
        wanted = str(self.descriptor.digest) if ":" in got else f"{self.descriptor.size} bytes"
        place = f" from {source.name}" if source else ""
        resumed = ", continued from an earlier attempt," if self._is_continued else ""
        return (ResumeError if self._is_continued else VerificationError)(
            f"{self._what} ({self.descriptor.digest}){place}{coded}{resumed} is not what the manifest promises",
            wanted=wanted,
            got=got,
            hint="try again; if it stays so, a proxy or mirror alters the data (--no-mirror asks none), "
            "or the registry's copy is damaged",
            tries=_TRIES,
        )

    def _contents(self) -> LayerInfo | None:
        if self._open_layer is None:
            return None
        if self._watch is None or self._is_coded:
            self._watch = self._open_layer()
            with storing(self._path, "read"):
                self._file.seek(0)
                for chunk in iter(lambda: self._file.read(BUFFER), b""):
                    self._watch.update(chunk)
        return self._watch.finish()

    def _undo(self, names: tuple[str, ...]) -> None:
        """Replace what is here by what it is without its content codings."""
        self._trim()
        with storing(self._path, "write"), tempfile.TemporaryFile(dir=self._path.parent) as plain:
            self._file.seek(0)
            coded = iter(lambda: self._file.read(BUFFER), b"")
            for chunk in content_encoding.undo(coded, names, self.descriptor.size + 1, self._what):
                plain.write(chunk)
            plain.seek(0)
            self.discard()
            for chunk in iter(lambda: plain.read(BUFFER), b""):
                _write_all(self._file, chunk)
                self._absorb(chunk)


def _opened(path: Path) -> BinaryIO:
    """Open what is left of a part, unless another user could change it after it was hashed; or make a new one."""
    file = os.fdopen(os.open(path, _FLAGS, FILE), "r+b", 0)
    if is_private_file(file):
        return file
    file.close()
    path.unlink()
    return os.fdopen(os.open(path, _FLAGS | os.O_EXCL, FILE), "r+b", 0)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
