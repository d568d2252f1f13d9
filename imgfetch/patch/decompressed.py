"""The archive that `imgfetch save --layers plain` would have written in the place of one with compressed layers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import BinaryIO

from imgfetch.archive import uncompressed
from imgfetch.archive.formats import FORMATS
from imgfetch.archive.image_layout import path
from imgfetch.archive.selection import merged
from imgfetch.archive.tarlayout import Blob, TarLayout, UncompressedLayer
from imgfetch.archive.ustar import BLOCK
from imgfetch.errors import VerificationError
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.patch.layerfile import PIECE, LayerFile, read_at
from imgfetch.patch.load import Loaded
from imgfetch.patch.result import Result, images_of, of_layout
from imgfetch.patch.selections import selections

_MTIME = slice(136, 148)

_logger = logging.getLogger(__name__)


def result_of(new: Loaded) -> Result:
    """Return an archive as the result of a patch, with decompressed layers.

    Raises:
        UnsupportedError: the archive cannot be decompressed as `imgfetch save --layers plain` would.
    """
    if new.file and new.archive.is_plain:
        return Result(_as_it_is(new, new.file), images_of(new.archive), _registry_documents(new))
    documents = _Documents(new.members.blob_documents())
    layout = _decompressed(new, documents)
    return of_layout(layout, lambda blob: _content(blob, documents, new), _registry_documents(new))


def _as_it_is(new: Loaded, file: BinaryIO) -> Iterator[bytes | LayerFile]:
    """Yield an archive whose layers are decompressed."""
    position, end = 0, new.members.size or 0
    for diff_id, start in sorted(new.places.items(), key=lambda item: item[1]):
        yield from _between(file, position, start)
        yield new.layers[diff_id]
        position = start + new.layers[diff_id].size
    yield from _between(file, position, end)


def _between(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, PIECE):
        yield read_at(file, position, min(PIECE, end - position))


def _decompressed(new: Loaded, documents: _Documents) -> TarLayout:
    """Return the layout of an archive of imgfetch with its layers decompressed; ``documents`` receives new ones."""
    known = {
        layer.digest: LayerInfo(layer.diff_id, layer.compression, new.layers[layer.diff_id].size)
        for image in new.archive.images
        for layer in image.layers
        if layer.digest and layer.diff_id in new.layers
    }
    found = selections(new.members, new.archive)
    if new.archive.referrers:
        _logger.warning(
            "the patch makes %s without its signatures and other referrers, which are about compressed layers; the "
            "manifests in the patch prove its origin: imgfetch apply --expect NAME@DIGEST",
            new.members.name,
        )
    rewritten = [uncompressed.rewritten(selection, known, documents) for selection in found]
    contents = {digest: content for _, made in rewritten for digest, content in made.items()}
    form = FORMATS["docker" if "manifest.json" in new.members.members else "oci"]
    members = form.members(merged(selection for selection, _ in rewritten), contents, documents)
    return TarLayout(members, mtime=_time(new))


def _content(blob: Blob, documents: dict[Digest, bytes], new: Loaded) -> bytes | LayerFile:
    if isinstance(blob, UncompressedLayer):
        return new.layers[blob.diff_id]
    if blob in documents:
        return documents[blob]
    return new.layers[blob] if blob in new.layers else _other(blob, new)


def _other(digest: Digest, new: Loaded) -> LayerFile:
    """Return a blob that is neither a document nor a layer, such as a large attestation."""
    member, file = new.members.get(path(digest)), new.file
    assert member  # noqa: S101  # the archive is complete
    assert file  # noqa: S101  # and not a directory
    found = LayerFile(digest, member.entry.size, file, member.offset)
    hasher = digest.hasher()
    for piece in found.pieces(0, found.size):
        hasher.update(piece)
    if not digest.matches(hasher):
        raise VerificationError(f"{path(digest)} in {new.members.name} is damaged", hint="copy or download it again")
    return found


def _time(new: Loaded) -> int:
    """Return the time of the archive's entries."""
    assert new.file  # noqa: S101  # it is not a directory
    header = read_at(new.file, 0, min(BLOCK, new.members.size or 0))
    return int(header[_MTIME].strip(b" \0") or b"0", 8)


def _registry_documents(new: Loaded) -> tuple[bytes, ...]:
    """Return the manifests and indexes that prove where the images come from, as the registry has them."""
    documents = dict(new.members.blob_documents())
    wanted = [digest for image in new.archive.images for digest in image.digests]
    return tuple(documents[digest] for digest in dict.fromkeys(wanted) if digest in documents)


class _Documents(dict[Digest, bytes]):
    """The manifests, indexes and configs of an archive."""

    def read(self, digest: Digest, /) -> bytes:
        """Return a document."""
        return self[digest]

    def put(self, descriptor: Descriptor, content: bytes, /) -> None:
        """Add a document."""
        self[descriptor.digest] = content
