"""A directory of verified content: the only place where trust is made.

Layout::

    blobs/<algorithm>/<encoded>     content that hashes to its name; nothing else ever stands there
    layers/<algorithm>/<encoded>    what was found when that blob was decompressed, as JSON
    parts/                          what is being received, under names that mean nothing

`BlobStore.add` is the only way in.  It counts and hashes what comes, and gives it its name at the end.
A blob that an earlier run left is hashed again before it is relied on.  What that run found in a layer is not
found out again, so a directory that others may write to is refused.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from imgfetch import codings
from imgfetch.digest import Digest
from imgfetch.errors import ImgfetchError, StorageError, VerificationError
from imgfetch.files import BUFFER, replacing, storing
from imgfetch.image import Descriptor
from imgfetch.layers import Contents, LayerCheck
from imgfetch.printable import clean

_PRIVATE = 0o700
_PRIVATE_FILE = 0o600
_CODING_OVERHEAD = 64 * 1024  # by which a coding may make a body longer than its content


_Difference = tuple[str, str]


class Source(Protocol):
    """A body on its way in, such as an HTTP answer."""

    @property
    def codings(self) -> tuple[str, ...]:
        """The content codings that the sender names, whether or not they are to be undone."""

    @property
    def name(self) -> str:
        """Where it comes from, for messages."""

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""


class BlobStore:
    """Blobs by digest, shared by everything that uses the same directory; safe to be used from several threads."""

    def __init__(self, root: Path) -> None:
        """Use a directory, which is made when it is needed.

        Args:
            root: the directory, on a file system of this machine.
        """
        self._root = root
        self._lock = threading.Lock()
        self._verified: dict[Digest, int] = {}
        self._is_closed = False

    def close(self) -> None:
        """Let nothing be written any more."""
        self._is_closed = True

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is here and is what it is called; what is not goes away.

        Raises:
            VerificationError: the descriptor gives the blob a size that it does not have.
            StorageError: it cannot be read.
        """
        with self._lock:
            size = self._verified.get(descriptor.digest)
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
        """Hash what stands under a digest; return its size if it is that."""
        path = self._path(digest)
        try:
            with storing(self._root, "use"), path.open("rb", buffering=0) as file:
                self._refuse_strangers()
                hasher, size = digest.hasher(), 0
                while chunk := file.read(BUFFER):
                    self._check_open()
                    hasher.update(chunk)
                    size += len(chunk)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        if not digest.matches(hasher):
            with storing(path, "remove"):
                path.unlink(missing_ok=True)
            return None
        self._trust(digest, size)
        return size

    def open(self, digest: Digest) -> BinaryIO:
        """Open a blob that `has` or `add` vouched for.

        Raises:
            StorageError: it cannot be read.
        """
        path = self._path(digest)
        with storing(path, "read"):
            return path.open("rb", buffering=0)

    def read(self, digest: Digest) -> bytes:
        """Return the whole of a small blob that `has` or `add` vouched for.

        Raises:
            StorageError: it cannot be read.
        """
        with self.open(digest) as file, storing(self._path(digest), "read"):
            return file.read()

    def add(
        self, descriptor: Descriptor, source: Source, what: str, *, layer: Callable[[], LayerCheck] | None = None
    ) -> Contents | None:
        """Take a blob in if it is what its descriptor says, and return what a layer turned out to hold.

        Args:
            descriptor: what is promised.
            source: what comes.
            what: the blob's name in messages.
            layer: opens the check of a layer's decompressed stream.

        Raises:
            VerificationError: size or digest differ, or a layer's data is damaged; nothing was taken in.
            UnsupportedError: a layer cannot be decompressed by us.
            StorageError: it cannot be written.
            TransportError: the source broke off.
        """
        path = self._path(descriptor.digest)
        with self._replacing(path) as file:
            watch = layer() if layer and not source.codings else None
            room = descriptor.size + 1 + (_CODING_OVERHEAD + descriptor.size // 100 if source.codings else 0)
            difference = _receive(source.chunks(room), descriptor, file, watch)
            if difference is not None and source.codings:
                # Not the blob itself, then perhaps a proxy's encoding of it (P77).
                difference = self._undo(source.codings, descriptor, file, what)
            if difference is not None:
                raise _mismatch(descriptor, difference, what, source)
            if layer and watch is None:
                watch = layer()
                file.seek(0)
                for chunk in iter(lambda: file.read(BUFFER), b""):
                    watch.update(chunk)
            contents = watch.finish() if watch else None
        self._trust(descriptor.digest, descriptor.size)
        if contents is not None:
            self.remember(descriptor.digest, contents)
        return contents

    def contents(self, digest: Digest, algorithm: str) -> Contents | None:
        """Return what was found in a layer before, if that is known.

        Args:
            digest: the layer's.
            algorithm: in which its ``diff_id`` is wanted.
        """
        try:
            with self._notes(digest).open("rb") as file:
                contents = Contents.from_json(file.read(4096))
        except (OSError, ImgfetchError):
            return None
        return contents if contents.diff_id.algorithm == algorithm else None

    def remember(self, digest: Digest, contents: Contents) -> None:
        """Keep what was found in a layer, for the next run; a disk that refuses costs only time."""
        with suppress(StorageError), self._replacing(self._notes(digest)) as file:
            file.write(contents.to_json())

    @contextmanager
    def _replacing(self, path: Path) -> Iterator[BinaryIO]:
        parts = self._root / "parts"
        self._check_open()
        with storing(self._root, "use"):
            self._root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            self._refuse_strangers()
            for directory in (parts, path.parent):
                directory.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode=_PRIVATE_FILE, durable=False, parts=parts) as file:
            yield file

    def _undo(self, names: tuple[str, ...], descriptor: Descriptor, file: BinaryIO, what: str) -> _Difference | None:
        """Replace what is in ``file`` by what it is without its content codings, and compare again."""
        file.seek(0)
        coded = iter(lambda: file.read(BUFFER), b"")
        with tempfile.TemporaryFile(dir=self._root / "parts") as plain:
            difference = _receive(codings.undo(coded, names, descriptor.size + 1, what), descriptor, plain, None)
            plain.seek(0)
            file.seek(0)
            file.truncate()
            shutil.copyfileobj(plain, file, BUFFER)
        return difference

    def _trust(self, digest: Digest, size: int) -> None:
        with self._lock:
            self._verified[digest] = size

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageError(f"{self._root} is not used any more")

    def _refuse_strangers(self) -> None:
        """Refuse a directory in which somebody else may say what a layer holds."""
        status = self._root.stat()
        strange = hasattr(os, "geteuid") and status.st_uid not in (0, os.geteuid())
        if strange or (os.name == "posix" and status.st_mode & stat.S_IWOTH):
            raise StorageError(
                f"{clean(str(self._root))} can be written by others, so what is in it is not to be trusted",
                hint="choose another --cache-dir, or --no-cache",
            )

    def _path(self, digest: Digest) -> Path:
        return self._root / "blobs" / digest.algorithm / digest.encoded

    def _notes(self, digest: Digest) -> Path:
        return self._root / "layers" / digest.algorithm / digest.encoded


def _receive(
    chunks: Iterator[bytes], descriptor: Descriptor, file: BinaryIO, watch: LayerCheck | None
) -> _Difference | None:
    """Write, count and hash what comes; return what it should have been and what it is, if they differ."""
    hasher, size = descriptor.digest.hasher(), 0
    for chunk in chunks:
        size += len(chunk)
        hasher.update(chunk)
        file.write(chunk)
        if watch is not None:
            watch.update(chunk)
    if size != descriptor.size:
        got = f"{size} bytes" if size < descriptor.size else "more"
        return f"{descriptor.size} bytes", got
    if not descriptor.digest.matches(hasher):
        return str(descriptor.digest), f"{descriptor.digest.algorithm}:{hasher.hexdigest()}"
    return None


def _mismatch(descriptor: Descriptor, difference: _Difference, what: str, source: Source) -> VerificationError:
    """Say what a blob should be and is (M12)."""
    wanted, got = difference
    coded = f", with content coding {clean(', '.join(source.codings))}" if source.codings else ""
    return VerificationError(
        f"{what} ({descriptor.digest}) from {source.name}{coded} is not what the manifest promises",
        wanted=wanted,
        got=got,
        hint="try again; if it stays so, a proxy or mirror alters the data, or the registry's copy is damaged",
    )
