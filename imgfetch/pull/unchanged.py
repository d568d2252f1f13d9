"""An archive that exists already, compared with the one that would be written."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imgfetch.archive import compressed
from imgfetch.archive.image_layout import path as blob_path
from imgfetch.archive.scan import Scan, scan
from imgfetch.errors import ImgfetchError
from imgfetch.files import storage_errors
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.pull.plan import ArchiveLayout, Plan, remembered
from imgfetch.store.blobs import BlobStore

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExistingArchive:
    """An archive that exists already.

    Attributes:
        path: the file.
        members: its members.
    """

    path: Path
    members: Scan

    @classmethod
    def at(cls, path: Path, store: BlobStore) -> Self | None:
        """Return the archive at a path if it is readable, and store its manifests and configs.

        Raises:
            StorageError: the store cannot be written.
        """
        if not path.is_file():
            return None
        try:
            existing = cls(path, scan(path))
        except ImgfetchError as error:
            _logger.info("%s is written again: %s", path, error)
            return None
        for digest, raw in existing.members.blob_documents():  # they need not be fetched again
            store.put(Descriptor("", digest, len(raw)), raw)
        return existing

    def has(self, plan: Plan, store: BlobStore) -> bool:
        """Return ``True`` if it is byte-for-byte the archive of a plan.

        Raises:
            StorageError: it cannot be read.
        """
        layout = self._layout(plan, store)
        if layout is None or compressed.compression_of(self.path) != compressed.compression(self.path):
            return False
        with storage_errors(self.path, "read"), compressed.opened(self.path) as file:
            try:
                return layout.tar.matches(file)
            except ImgfetchError as error:
                _logger.info("%s is written again: %s", self.path, error)
                return False

    def _layout(self, plan: Plan, store: BlobStore) -> ArchiveLayout | None:
        """Return the layout of a plan, with the sizes of the decompressed layers in this archive."""
        known = remembered(plan, store)
        for layer in plan.layers if plan.request.is_plain else ():
            if layer.diff_id and (found := self.members.get(blob_path(layer.diff_id))):
                known.setdefault(layer.descriptor.digest, LayerInfo(layer.diff_id, "", found.entry.size))
        return plan.layout(known)
