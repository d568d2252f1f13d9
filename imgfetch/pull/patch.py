"""The save of a patch: only the layers that an old archive lacks are downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from imgfetch.archive.output import Output, opened, regular
from imgfetch.archive.streams import Advanced, name_of, silently
from imgfetch.archive.tarlayout import Blob, UncompressedLayer
from imgfetch.errors import VerificationError
from imgfetch.files import storage_errors
from imgfetch.layers.compression import decompress
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.patch import frames
from imgfetch.patch.given import opened_old
from imgfetch.patch.layerfile import LayerFile, pieces, temporary
from imgfetch.patch.make import write_patch
from imgfetch.patch.result import of_layout
from imgfetch.pull.layer import Layer
from imgfetch.pull.make_plan import make_plan
from imgfetch.pull.plan import ArchiveLayout, Plan, sized
from imgfetch.pull.results import Saved, finish
from imgfetch.pull.save import Saving
from imgfetch.pull.session import Session
from imgfetch.pull.write import require_space
from imgfetch.store.blobs import BlobStore
from imgfetch.store.workspace import beside

Reading = Callable[[str, int | None], AbstractContextManager[Advanced]]
"""Shows the progress with a file, of which it gets the name, and the size if that is known."""


class SavedPatch(NamedTuple):
    """A patch.

    Attributes:
        archive: the archive that it makes.
        size: the bytes of the patch.
    """

    archive: Saved
    size: int


def save_patch(saving: Saving, old: Path, output: Output, reading: Reading | None) -> SavedPatch:
    """Write a patch that makes the archive of a request from old layers; see `Client.save_patch`."""
    saving.check_output(None)
    library, show = frames.compression_library(), reading or silently
    with ExitStack() as stack:
        path = regular(output)
        stream = None if path else stack.enter_context(opened(output, None))
        with show(name_of(old), None) as advanced:
            base = stack.enter_context(opened_old(old, advanced))
        workspace = stack.enter_context(beside(path)) if path else None
        session = saving.open(stack, workspace)
        store = session.store
        plan = make_plan(saving.request, session.resolver, saving.tally, is_serial=saving.jobs == 1)
        new = [layer for layer in plan.layers if layer.diff_id not in base.layers]
        contents = _downloaded(new, saving, session)
        layout = _laid_out(plan, contents, base.layers, store)
        places = {**_placed(new, contents, store, stack.enter_context(temporary())), **base.layers}
        result = of_layout(layout.tar, partial(_found, places, store), _registry_documents(plan, store))
        out = stream or stack.enter_context(opened(output, workspace and workspace.folders))
        with show(path.name if path else "the patch", layout.tar.size) as advanced:
            _, size = write_patch(base, result, out, library, advanced=advanced)
    saving.trim(store)
    downloaded, cached = saving.tally.share([layer.item for layer in new])
    archive = finish(plan, layout, contents, layout.tar.size)
    received = session.registry.received
    return SavedPatch(replace(archive, downloaded=downloaded, cached=cached, received=received), size)


def _downloaded(layers: Sequence[Layer], saving: Saving, session: Session) -> dict[Digest, LayerInfo]:
    """Download layers into the store, and return the findings about them."""
    session.store.reserve(layer.descriptor.digest for layer in layers)
    require_space(session.store, layers)
    saving.tally.planned([layer.item for layer in layers])
    largest_first = sorted(layers, key=lambda layer: -layer.descriptor.size)
    with saving.downloads(session, largest_first) as downloads:
        downloads.wait(layers)
        return downloads.contents(layers)


def _laid_out(
    plan: Plan, contents: Mapping[Digest, LayerInfo], old: Mapping[Digest, LayerFile], store: BlobStore
) -> ArchiveLayout:
    sizes = {diff_id: layer.size for diff_id, layer in old.items()}
    layout = plan.layout({**sized(plan, sizes), **contents}, store)
    assert layout is not None  # noqa: S101  # all layers are known
    return layout


def _placed(
    layers: Iterable[Layer], contents: Mapping[Digest, LayerInfo], store: BlobStore, file: BinaryIO
) -> dict[Digest, LayerFile]:
    """Write layers to a file, decompressed, and other blobs as they are; return their places by digest."""
    found: dict[Digest, LayerFile] = {}
    for layer in layers:
        digest, start = layer.descriptor.digest, file.tell()
        with store.open(digest) as blob, storage_errors("a temporary file", "write"):
            file.writelines(decompress(blob) if layer.diff_id else pieces(blob))
            file.flush()
        size = contents[digest].size if layer.diff_id else layer.descriptor.size
        if file.tell() - start != size:
            raise VerificationError(f"{layer.what} changed while it was read", hint="run the command again")
        own = layer.diff_id or digest
        found[own] = LayerFile(own, size, file, start)
    return found


def _found(places: Mapping[Digest, LayerFile], store: BlobStore, blob: Blob) -> bytes | LayerFile:
    """Return the place of a layer, or the content of a document."""
    digest = blob.diff_id if isinstance(blob, UncompressedLayer) else blob
    return places[digest] if digest in places else store.read(digest)


def _registry_documents(plan: Plan, store: BlobStore) -> tuple[bytes, ...]:
    """Return the manifests, and the indexes that list them, as the registry has them."""
    found: dict[Digest, None] = {}
    for selection in plan.selections:
        own = [*selection.parents, *(selection.indexes if plan.request.all_platforms else ())]
        for image in selection.images:
            own += [image.manifest.descriptor, *image.indexes]
        found |= dict.fromkeys(descriptor.digest for descriptor in own)
    return tuple(map(store.read, found))
