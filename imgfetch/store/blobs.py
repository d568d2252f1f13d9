"""A directory of verified content: the only place where trust is made.

Layout::

    blobs/<algorithm>/<encoded>     content that hashes to its name; nothing else ever stands there
    layers/<algorithm>/<encoded>    what was found when that blob was decompressed, as JSON
    parts/<algorithm>/<encoded>     what has come of a blob so far
    locks/, runs/, lock             who is at work here; see `imgfetch.store.locks`

`Part` is the only way in.  It counts and hashes what comes, and what is right gets its name at the end.
A blob that an earlier run left is hashed again before it is relied on, and whenever the file has changed since then.
What that run found in a layer is not found out again.  So nobody else may write here: a root that others can write to
is refused, and all below it is for this user alone; see `imgfetch.store.permissions`.

Several processes may use one directory: who brings a blob claims it, and who needs one says so beforehand.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import ImgfetchError, StorageError, VerificationError
from imgfetch.files import BUFFER, Identity, replacing, storing
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Body, Embedded
from imgfetch.store.locks import Claims
from imgfetch.store.partial import Part
from imgfetch.store.permissions import (
    FILE,
    close_directories,
    is_private_file,
    make_directory,
    open_regular,
    refuse_strangers,
)
from imgfetch.text import clean


class BlobStore:
    """Blobs by digest, shared by everything that uses the same directory; safe to be used from several threads."""

    def __init__(self, root: Path) -> None:
        """Use a directory, which is made when it is needed.

        Args:
            root: the directory, on a file system of this machine.
        """
        self._root = root
        self._lock = threading.Lock()
        self._verified: dict[Digest, Identity] = {}
        self._claims = Claims(root)
        self._is_closed = self._is_closed_to_others = False

    def prepare(self) -> None:
        """Make the directory, and find out whether it can be used.

        Raises:
            StorageError: it cannot be made or written, or others may write to it.
        """
        with storing(self._root, "use"):
            make_directory(self._root)
            self._secure()
            self._claims.prepare()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Keep blobs, whether they are here or not, from being evicted by anybody until this is closed.

        Raises:
            StorageError: that cannot be said in the directory.
        """
        self.prepare()
        self._claims.reserve(digests)

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
        with self._claims.claim(digest, wait=wait, interrupt=self._check_open) as is_ours:
            yield is_ours

    def close(self) -> None:
        """Let nothing be written any more, and need nothing any more."""
        self._is_closed = True
        self._claims.close()

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is here and is what it is called; what is not goes away.

        Raises:
            VerificationError: the descriptor gives the blob a size that it does not have.
            StorageError: it cannot be read.
        """
        identity = self._verified.get(descriptor.digest)
        size = identity.size if identity else self._verify(descriptor.digest)
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
            with storing(self._root, "use"):
                self._secure()
                with open_regular(path) as file:
                    with suppress(OSError):  # a cache that is read only has no need to know what was used last
                        os.utime(path)
                    is_right = self._is_right(digest, file)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        if not is_right:
            with storing(path, "remove"):
                path.unlink(missing_ok=True)
            return None
        return self._verified[digest].size

    def _is_right(self, digest: Digest, file: BinaryIO) -> bool:
        """Hash an open file; tell whether it is a blob that no other user can change, and trust it then."""
        identity = Identity.of(file)  # before it is hashed, for a later change must not go unnoticed
        if not is_private_file(file):
            return False
        hasher = digest.hasher()
        while chunk := file.read(BUFFER):
            self._check_open()
            hasher.update(chunk)
        if not digest.matches(hasher):
            return False
        self._verified[digest] = identity
        return True

    @contextmanager
    def open(self, digest: Digest) -> Iterator[BinaryIO]:
        """Open a blob that `has` or `add` verified; what is read until the block ends is what was hashed.

        Raises:
            StorageError: it cannot be read.
            VerificationError: it was changed or exchanged, before the block or in it.
        """
        path = self._path(digest)
        with storing(path, "read"):
            file = open_regular(path)
        with file:
            self._refuse_changes(digest, file)
            yield file
            self._refuse_changes(digest, file)

    def _refuse_changes(self, digest: Digest, file: BinaryIO) -> None:
        """Hash an open blob again unless it is the file that was hashed, in the same state."""
        path = self._path(digest)
        with storing(path, "read"):
            if Identity.of(file) == self._verified.get(digest):
                return
            file.seek(0)
            if not self._is_right(digest, file):
                raise VerificationError(
                    f"{clean(str(path))} was changed after it was verified",
                    wanted=str(digest),
                    got="other content",
                    hint="run the command again; if it happens again, another program writes to the cache",
                )
            file.seek(0)

    def read(self, digest: Digest) -> bytes:
        """Return the whole of a small blob that `has` or `add` verified.

        Raises:
            StorageError: it cannot be read.
            VerificationError: it was changed or exchanged.
        """
        with self.open(digest) as file, storing(self._path(digest), "read"):
            return file.read()

    def add(
        self, descriptor: Descriptor, source: Body, what: str, *, layer: Callable[[], DiffIdCheck] | None = None
    ) -> LayerInfo | None:
        """Take a blob in if it is what its descriptor says, and return what a layer turned out to hold.

        Args:
            descriptor: what is promised.
            source: what comes, from the first byte on.
            what: the blob's name in messages.
            layer: opens the check of a layer's decompressed stream.

        Raises:
            ImgfetchError: as for `Part.take`.
        """
        with self.claim(descriptor.digest), self.part(descriptor, what, layer=layer) as part:
            part.discard()
            return self.keep(part, part.take(source))

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
        what: str,
        *,
        layer: Callable[[], DiffIdCheck] | None = None,
        advanced: Callable[[int], None] | None = None,
        copy: Callable[[int, bytes], None] | None = None,
    ) -> Iterator[Part]:
        """Open what is here of a blob that is claimed; what is there when the block ends stays for another run.

        Args:
            descriptor: what is promised.
            what: the blob's name in messages.
            layer: opens the check of a layer's decompressed stream.
            advanced: told of bytes that count, or fewer than none where it is begun anew.
            copy: given each position and what stands there, a second time where it is begun anew.

        Raises:
            StorageError: it cannot be read or written.
        """
        self._check_open()
        path = self._part(descriptor.digest)
        with storing(self._root, "use"):
            make_directory(path.parent)
        part = Part(path, descriptor, what, layer=layer, advanced=advanced, copy=copy)
        try:
            yield part
        finally:
            with suppress(OSError):
                part.close()

    def keep(self, part: Part, contents: LayerInfo | None) -> LayerInfo | None:
        """Give a part that was finished its name, and return what was found in it.

        Raises:
            StorageError: it cannot be had.
        """
        descriptor = part.descriptor
        path = self._path(descriptor.digest)
        with storing(self._root, "use"):
            make_directory(path.parent)
        self._check_open()
        self._verified[descriptor.digest] = part.moved_to(path)
        if contents is not None:
            self.remember(descriptor.digest, contents)
        return contents

    def contents(self, digest: Digest, algorithm: str) -> LayerInfo | None:
        """Return what was found in a layer before, if that is known.

        Args:
            digest: the layer's.
            algorithm: in which its ``diff_id`` is wanted.
        """
        try:
            self._secure()
            with open_regular(self._notes(digest)) as file:
                if not is_private_file(file):
                    return None
                contents = LayerInfo.from_json(file.read(4096))
        except (OSError, ImgfetchError):
            return None
        return contents if contents.diff_id.algorithm == algorithm else None

    def remember(self, digest: Digest, contents: LayerInfo) -> None:
        """Keep what was found in a layer, for the next run; a disk that refuses costs only time."""
        path = self._notes(digest)
        with suppress(StorageError, OSError):
            make_directory(path.parent)
            with replacing(path, mode=FILE, durable=False) as file:
                file.write(contents.to_json())

    def bytes_missing(self, descriptors: Iterable[Descriptor]) -> int:
        """Return how many bytes of blobs have yet to come, by what stands here unverified."""
        missing = 0
        for descriptor in descriptors:
            here = 0
            for path in (self._path(descriptor.digest), self._part(descriptor.digest)):
                with suppress(OSError):
                    here = max(here, path.stat().st_size)
            missing += max(descriptor.size - here, 0)
        return missing

    @property
    def root(self) -> Path:
        """The directory."""
        return self._root

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageError(f"{self._root} is not used any more")

    def _secure(self) -> None:
        """Refuse a directory that others can write to, and let nobody else write to those below it."""
        refuse_strangers(self._root)
        with self._lock:
            if not self._is_closed_to_others:
                close_directories(self._root, rehashed=("blobs", "parts", "locks", "runs"), remembered="layers")
                self._is_closed_to_others = True

    def _path(self, digest: Digest) -> Path:
        return self._root / "blobs" / digest.algorithm / digest.encoded

    def _part(self, digest: Digest) -> Path:
        return self._root / "parts" / digest.algorithm / digest.encoded

    def _notes(self, digest: Digest) -> Path:
        return self._root / "layers" / digest.algorithm / digest.encoded
