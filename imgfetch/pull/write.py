"""The writing of an archive while its layers arrive, unless it exists already.

The order of layers in the archive is that of its members (`imgfetch.archive.formats`).  Several are fetched at a time,
for a file the largest first, which keeps all threads busy to the end, and for a sequence (a stream, or a file that is
compressed as a whole) in the archive's order.  The layout is known unless it depends on layers that are new, as with
decompressed ones in a first run.  For a file, `imgfetch.pull.sizes` then requests their sizes; if these turn out to be
wrong, the layout was unknown:

=======  =========================================  ========================================================
layout   file                                       sequence
=======  =========================================  ========================================================
known    full length at once, each layer's pieces   one member after the other, each when its layer has
         as they arrive                             arrived; compressed after all of them
unknown  after all layers                           after all layers
=======  =========================================  ========================================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from imgfetch import threads
from imgfetch.archive import compressed
from imgfetch.archive.image_layout import path as blob_path
from imgfetch.archive.tarlayout import Blob, Readable
from imgfetch.defaults import ZSTD_WINDOW
from imgfetch.errors import ImgfetchError, StorageError, UnsupportedError, VerificationError
from imgfetch.files import require_free_space, storage_errors
from imgfetch.inputs import opened_regular
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Source
from imgfetch.pull import sizes
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.layer import Layer
from imgfetch.pull.plan import ArchiveLayout, Plan, remembered
from imgfetch.store.blobs import BlobStore

if TYPE_CHECKING:
    from imgfetch.archive.scan import Scan

_logger = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class Writer:
    """Writes the archive of a plan.

    ``path`` is its path, if it is a file that is replaced atomically; it may have to be written in sequence anyway.
    """

    plan: Plan
    store: BlobStore
    path: Path | None
    is_sequential: bool = False

    @property
    def compression(self) -> str:
        """The compression of the whole archive, or nothing."""
        return compressed.compression(self.path)

    @property
    def takes_any_order(self) -> bool:
        """True if members may be written in any order."""
        return self.path is not None and not self.compression and not self.is_sequential

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order in which to fetch them."""
        if not self.takes_any_order:
            return self.plan.layers
        return tuple(sorted(self.plan.layers, key=lambda layer: -layer.descriptor.size))

    def prepare(self, source: Source | None = None) -> ArchiveLayout | None:
        """Reserve the blobs and require the free space; return the layout as far as it is known.

        If it depends on the sizes of new layers, these are requested from the ``source``; they may be wrong.
        """
        self.store.reserve(layer.descriptor.digest for layer in self.plan.layers)
        known = remembered(self.plan, self.store)
        layout = self.plan.layout(known, self.store)
        if layout is None and source and self.takes_any_order:
            layout = self._foreseen(known, source)
        require_space(self.store, self.plan.layers, *self._needs(layout))
        return layout

    def _foreseen(self, known: Mapping[Digest, LayerInfo], source: Source) -> ArchiveLayout | None:
        """Return the layout with the sizes that layers state, if there is room for it."""
        found = sizes.foreseen([layer for layer in self.plan.layers if layer.descriptor.digest not in known], source)
        try:
            layout = self.plan.layout({**known, **found}, self.store) if found else None
            require_free_space(self._needs(layout))
        except (StorageError, VerificationError):  # perhaps only a statement is wrong
            return None
        return layout

    def copier(self, layout: ArchiveLayout | None, out: BinaryIO) -> Callable[[Blob, int, bytes], None] | None:
        """Return a function that writes pieces of layers as they arrive; the file is prepared for them."""
        path = self.path
        if not (layout and path and self.takes_any_order):
            return None
        layout.tar.scaffold(out)

        def copy(blob: Blob, position: int, data: bytes) -> None:
            with storage_errors(path, "write"):
                layout.tar.put(blob, position, data, out)

        return copy

    def transfer(
        self, layout: ArchiveLayout | None, downloads: Downloads, out: BinaryIO, *, jobs: int
    ) -> ArchiveLayout:
        """Write the archive while its layers arrive, and return its final layout; ``layout`` is the planned one."""
        if self.takes_any_order:
            return self._fill(layout, downloads, out, jobs)
        if layout is None or self.compression:
            downloads.wait(self.plan.layers)
            layout = self._final(downloads)
            require_free_space(self._needs(layout))
        window = self.plan.request.zstd_window or ZSTD_WINDOW
        with compressed.compressed(out, self.compression, layout.tar.size, window=window) as stream:
            self._stream(layout, downloads, stream)
        return layout

    def _fill(self, planned: ArchiveLayout | None, downloads: Downloads, out: BinaryIO, jobs: int) -> ArchiveLayout:
        """Write each member of a file when its blob has arrived."""
        downloads.wait(self.plan.layers)
        final = self._final(downloads)
        is_as_planned = planned is not None and final.tar.members == planned.tar.members
        if not is_as_planned:
            require_free_space(self._needs(final))
            final.tar.scaffold(out)
        placed = downloads.copied(self.plan.layers) if is_as_planned else set()
        self._place(final, final.tar.blobs - placed, out, jobs)
        return final

    def _stream(self, layout: ArchiveLayout, downloads: Downloads, out: BinaryIO) -> None:
        """Write all members in order, each when its blob has arrived."""
        layers = {layer.descriptor.digest: layer for layer in self.plan.layers}

        def open_blob(digest: Digest) -> AbstractContextManager[Readable]:
            layer = layers.get(digest)
            if layer is None:
                return self.store.open(digest)
            downloads.wait([layer])
            found = downloads.contents([layer]).get(digest)
            if found and digest not in layout.plain and found.is_refused(layer.media_types):
                raise UnsupportedError(
                    f"{layer.what} must be decompressed because some readers reject it, but part of the "
                    "archive is already written",
                    hint="write to a file with -o FILE, or run the command again with the same cache",
                )
            return self.store.open(digest)

        layout.tar.stream(open_blob, out)

    def _final(self, downloads: Downloads) -> ArchiveLayout:
        layout = self.plan.layout(downloads.contents(self.plan.layers), self.store)
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

    def _needs(self, layout: ArchiveLayout | None) -> list[tuple[Path, int, str]]:
        """Return the space that the archive needs, as far as it is known."""
        size = layout.tar.size if layout and not self.compression else 0
        return [(self.path.parent, size, "the archive")] if self.path else []


def require_space(store: BlobStore, layers: Iterable[Layer], *needs: tuple[Path, int, str]) -> None:
    """Require the space for layers that are missing and for archives; a cache without it is not used."""
    descriptors = [layer.descriptor for layer in layers]
    while True:
        try:
            require_free_space([(store.root, store.bytes_missing(descriptors), "layers"), *needs])
        except StorageError as error:
            store.without_cache(error)
        else:
            return


class ExistingArchive(NamedTuple):
    """An archive that exists already."""

    path: Path
    members: Scan

    @classmethod
    def at(cls, path: Path, store: BlobStore) -> Self | None:
        """Return the archive at a path if it is readable, and store its manifests and configs."""
        from imgfetch.archive.scan import scan  # noqa: PLC0415

        if not path.is_file():
            return None
        try:
            with storage_errors(path, "read"), opened_regular(path) as file:
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
        with storage_errors(self.path, "read"), opened_regular(self.path) as file:
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
