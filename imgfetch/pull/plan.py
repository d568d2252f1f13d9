"""What an archive will hold, as a value, before the first layer is fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imgfetch.archive import uncompressed
from imgfetch.archive.formats import Format
from imgfetch.archive.selection import Selection, merged
from imgfetch.archive.tarlayout import Blob, TarLayout
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.progress import Item
from imgfetch.pull.downloads import Layer
from imgfetch.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Laid:
    """A layout, and what stands in it.

    Attributes:
        selections: what the archive holds, as it stands there.
        plain: the layers that stand there decompressed, by the digests that they have in the registry.
        layout: where each member stands.
    """

    selections: tuple[Selection, ...]
    plain: frozenset[Digest]
    layout: TarLayout


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted, and what has to be brought for it.

    Attributes:
        selections: what the archive is to hold, as the registry has it.
        layers: the blobs to be brought, each once.
        form: the kind of archive.
        is_plain: whether all layers are to be decompressed.
        mtime: the time of every entry, in seconds since 1970.
        store: where the documents are.
    """

    selections: tuple[Selection, ...]
    layers: tuple[Layer, ...]
    form: Format
    is_plain: bool
    mtime: int
    store: BlobStore

    @property
    def items(self) -> list[Item]:
        """The blobs to be brought."""
        return [Item(str(layer.descriptor.digest), layer.descriptor.size) for layer in self.layers]

    def noted(self, layer: Layer) -> LayerInfo | None:
        """Return what an earlier run found in a layer."""
        if layer.diff_id is None:
            return None
        return self.store.layers.get(layer.descriptor.digest, layer.diff_id.algorithm)

    def laid_out(self, known: Callable[[Layer], LayerInfo | None]) -> Laid | None:
        """Return the layout, unless it depends on what is not known yet.

        Args:
            known: returns what is found in a layer, as far as that is known.

        Raises:
            VerificationError: a blob is given two sizes.
            StorageError: the store does not take a document.
        """
        opened = self._plain(known)
        if opened is None:
            return None
        selections, contents = self.selections, dict[Digest, Blob]()
        if opened:
            for selection in self.selections:
                contents.update(uncompressed.contents(selection, opened))
            selections = merged(
                uncompressed.rewritten(selection, opened, self.store.put, self.store.read)
                for selection in self.selections
            )
        layout = TarLayout(self.form.members(selections, contents), mtime=self.mtime)
        return Laid(selections, frozenset(opened), layout)

    def _plain(self, known: Callable[[Layer], LayerInfo | None]) -> Mapping[Digest, LayerInfo] | None:
        """Return the layers that are to be decompressed, unless that is not known yet."""
        opened: dict[Digest, LayerInfo] = {}
        for layer in self.layers:
            contents = known(layer) if layer.diff_id is not None else None
            if contents and (self.is_plain or contents.is_refused(layer.descriptor.media_type)):
                opened[layer.descriptor.digest] = contents
            elif self.is_plain and layer.diff_id is not None:
                return None
        return opened
