"""The writing of an archive while its layers arrive, unless it exists already.

The order of layers in the archive is that of its members (`imgfetch.archive.formats`).  Several are fetched at a time,
for a file the largest first, which keeps all threads busy to the end, and for a sequence (a stream, or a file that is
compressed as a whole) in the archive's order.  The layout is known unless it depends on layers that are new, as with
decompressed ones in a first run:

=======  =========================================  ========================================================
layout   file                                       sequence
=======  =========================================  ========================================================
known    full length at once, each layer's pieces   one member after the other, each when its layer has
         as they arrive                             arrived; compressed after all of them
unknown  after all layers                           after all layers
=======  =========================================  ========================================================
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from imgfetch import threads
from imgfetch.archive import compressed
from imgfetch.archive.image_layout import path as blob_path
from imgfetch.archive.scan import Scan, scan
from imgfetch.archive.tarlayout import Blob, Readable, UncompressedLayer
from imgfetch.errors import ImgfetchError, StorageError, UnsupportedError
from imgfetch.files import require_free_space, storage_errors
from imgfetch.inputs import open_regular
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.layer import Layer
from imgfetch.pull.plan import ArchiveLayout, Plan, remembered
from imgfetch.store.blobs import BlobStore

_logger = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class Writer:
    """Writes the archive of a plan; ``path`` is its path, if it is a file that is replaced atomically."""

    plan: Plan
    store: BlobStore
    path: Path | None

    @property
    def compression(self) -> str:
        """The compression of the whole archive, or nothing."""
        return compressed.compression(self.path)

    @property
    def takes_any_order(self) -> bool:
        """True if members may be written in any order."""
        return self.path is not None and not self.compression

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order in which to fetch them."""
        if not self.takes_any_order:
            return self.plan.layers
        return tuple(sorted(self.plan.layers, key=lambda layer: -layer.descriptor.size))

    def prepare(self) -> ArchiveLayout | None:
        """Reserve the blobs and require the free space; return the layout if it does not depend on new layers."""
        self.store.reserve(layer.descriptor.digest for layer in self.plan.layers)
        layout = self.plan.layout(remembered(self.plan, self.store), self.store)
        while True:
            missing = self.store.bytes_missing(layer.descriptor for layer in self.plan.layers)
            try:
                self._require_space(layout, (self.store.root, missing, "layers"))
            except StorageError as error:
                self.store.without_cache(error)
            else:
                return layout

    def copier(self, layout: ArchiveLayout | None, out: BinaryIO) -> Callable[[Digest, int, bytes], None] | None:
        """Return a function that writes pieces of layers as they arrive; the file is prepared for them."""
        path = self.path
        if not (layout and path and self.takes_any_order):
            return None
        layout.tar.scaffold(out)

        def copy(digest: Digest, position: int, data: bytes) -> None:
            with storage_errors(path, "write"):
                layout.tar.put(digest, position, data, out)

        return copy

    def transfer(
        self, layout: ArchiveLayout | None, downloads: Downloads, out: BinaryIO, *, jobs: int
    ) -> ArchiveLayout:
        """Write the archive while its layers arrive, and return its final layout; ``layout`` is the planned one."""
        if self.takes_any_order:
            return self._fill(layout, downloads, out, jobs)
        if layout is None or self.compression:
            for _ in downloads.arrivals():
                pass
            layout = self._final(downloads)
        with compressed.compressed(out, self.compression) as stream:
            self._stream(layout, downloads, stream)
        return layout

    def _fill(self, planned: ArchiveLayout | None, downloads: Downloads, out: BinaryIO, jobs: int) -> ArchiveLayout:
        """Write each member of a file when its blob has arrived."""
        for _ in downloads.arrivals():
            pass
        final = self._final(downloads)
        is_as_planned = planned is not None and final.tar.members == planned.tar.members
        if not is_as_planned:
            self._require_space(final)
            final.tar.scaffold(out)
        placed = {layer.descriptor.digest for layer in self.plan.layers} if is_as_planned else ()
        pending = [blob for blob in final.tar.blobs if isinstance(blob, UncompressedLayer) or blob not in placed]
        self._place(final, pending, out, jobs)
        return final

    def _stream(self, layout: ArchiveLayout, downloads: Downloads, out: BinaryIO) -> None:
        """Write all members in order, each when its blob has arrived."""
        layers = {layer.descriptor.digest: layer for layer in self.plan.layers}

        def open_blob(digest: Digest) -> AbstractContextManager[Readable]:
            downloads.wait(digest)
            found = downloads.contents.get(digest)
            if found and digest not in layout.plain and found.is_refused(layers[digest].media_types):
                raise UnsupportedError(
                    f"{layers[digest].what} must be decompressed because some readers reject it, but part of the "
                    "archive is already written",
                    hint="write to a file with -o FILE, or run the command again with the same cache",
                )
            return self.store.open(digest)

        layout.tar.stream(open_blob, out)

    def _final(self, downloads: Downloads) -> ArchiveLayout:
        layout = self.plan.layout(downloads.contents, self.store)
        assert layout is not None  # noqa: S101  # all layers have arrived
        return layout

    def _place(self, layout: ArchiveLayout, pending: Collection[Blob], out: BinaryIO, jobs: int) -> None:
        """Write blobs that are in the store, several at a time."""

        def place(blob: Blob, is_over: Callable[[], bool]) -> None:
            def interrupt() -> None:
                if is_over():
                    raise StorageError("stopped because another write failed")

            layout.tar.place(blob, self.store.open, out, interrupt=interrupt)

        largest_first = sorted(pending, key=lambda blob: -layout.tar.size_of(blob))
        threads.for_each(largest_first, place, jobs=jobs, name="imgfetch-write")

    def _require_space(self, layout: ArchiveLayout | None, *needs: tuple[Path, int, str]) -> None:
        if self.path:
            size = layout.tar.size if layout and not self.compression else 0
            needs = (*needs, (self.path.parent, size, "the archive"))
        require_free_space(needs)


class ExistingArchive(NamedTuple):
    """An archive that exists already."""

    path: Path
    members: Scan

    @classmethod
    def at(cls, path: Path, store: BlobStore) -> Self | None:
        """Return the archive at a path if it is readable, and store its manifests and configs."""
        if not path.is_file():
            return None
        try:
            with storage_errors(path, "read"), _opened(path) as file:
                existing = cls(path, scan(file))
        except ImgfetchError as error:
            _logger.info("rewriting %s: %s", path, error)
            return None
        for digest, raw in existing.members.blob_documents():  # they need not be fetched again
            store.put(Descriptor("", digest, len(raw)), raw)
        return existing

    def has(self, plan: Plan, store: BlobStore) -> bool:
        """Return ``True`` if it is byte-for-byte the archive of a plan."""
        layout = self._layout(plan, store)
        if layout is None:
            return False
        with storage_errors(self.path, "read"), _opened(self.path) as file:
            if compressed.compression_of(file) != compressed.compression(self.path):
                return False
            try:
                return layout.tar.matches(compressed.decompressed(file))
            except ImgfetchError as error:
                _logger.info("rewriting %s: %s", self.path, error)
                return False

    def _layout(self, plan: Plan, store: BlobStore) -> ArchiveLayout | None:
        """Return the layout of a plan, with the sizes of the decompressed layers in this archive."""
        known = remembered(plan, store)
        for layer in plan.layers if plan.request.is_plain else ():
            if layer.diff_id and (found := self.members.get(blob_path(layer.diff_id))):
                known.setdefault(layer.descriptor.digest, LayerInfo(layer.diff_id, "", found.entry.size))
        return plan.layout(known, store)


def _opened(path: Path) -> io.BufferedReader:
    """Open a regular file, and no pipe that another user has put there in the meantime."""
    return open(os.fspath(path), "rb", opener=open_regular)
