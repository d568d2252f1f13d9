"""Whether an archive that is there already is the one that is wanted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imgfetch.archive import compressed
from imgfetch.archive.image_layout import path as blob_path
from imgfetch.archive.scan import Scan, scan
from imgfetch.errors import ImgfetchError
from imgfetch.files import storing
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.pull.downloads import Layer
from imgfetch.pull.plan import Laid, Plan

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An archive that is there already.

    Attributes:
        path: the file.
        members: what stands in it.
    """

    path: Path
    members: Scan

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """Return the archive under a name, if there is one that can be read."""
        if not path.is_file():
            return None
        try:
            return cls(path, scan(path))
        except ImgfetchError as error:
            _logger.info("%s is written anew: %s", path, error)
            return None

    def documents(self) -> dict[Descriptor, bytes]:
        """Return the manifests and configs in it that are what they are called, so that nobody has to send them."""
        return {Descriptor("", digest, len(raw)): raw for digest, raw in self.members.blob_documents()}

    def laid_out(self, plan: Plan) -> Laid | None:
        """Return how a plan would be laid out, taking the sizes of decompressed layers from here."""

        def known(layer: Layer) -> LayerInfo | None:
            noted = plan.noted(layer)
            if noted or layer.diff_id is None or not plan.is_plain:
                return noted
            found = self.members.get(blob_path(layer.diff_id))
            return LayerInfo(layer.diff_id, "", found.entry.size) if found else None

        return plan.laid_out(known)

    def is_same(self, laid: Laid) -> bool:
        """Tell whether it is, to the byte, what would be written.

        Raises:
            StorageError: it cannot be read.
        """
        if compressed.compression_of(self.path) != compressed.compression(self.path):
            return False
        with storing(self.path, "read"), compressed.opened(self.path) as file:
            try:
                return laid.layout.matches(file)
            except ImgfetchError as error:
                _logger.info("%s is written anew: %s", self.path, error)
                return False
