"""Sizes of decompressed layers before they are downloaded.

A gzip layer ends with its decompressed size modulo 4 GiB (RFC 1952, section 2.3.1).  So one small request for each
layer tells the place of every member of an archive with decompressed layers, and they are written while they arrive,
not decompressed a second time.  The size is only a guess: several gzip members, a lie, or more than 4 GiB make it
wrong.  The caller compares it when the layer is complete.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from imgfetch import threads
from imgfetch.archive.ustar import BLOCK
from imgfetch.errors import ImgfetchError
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci import mediatypes
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Source
from imgfetch.pull.layer import Layer
from imgfetch.pull.together import AT_A_TIME

WORTH = 128 * 1024 * 1024
"""Bytes of layers from which on requests for their sizes are quicker than decompressing them again."""
_MOST = 64  # requests
_TRAILER = 8
_MODULUS = 1 << 32
_MOST_TIMES = 1040  # the size of compressed data; deflate reaches 1,032
_LEAST_TIMES = 0.99  # deflate stores what it cannot compress

_logger = logging.getLogger(__name__)


def foreseen(layers: Iterable[Layer], source: Source) -> dict[Digest, LayerInfo] | None:
    """Return guesses about layers that are to be decompressed, or ``None`` if there is none for one of them."""
    wanted = [(layer, layer.diff_id) for layer in layers if layer.diff_id]
    if len(wanted) > _MOST or sum(layer.descriptor.size for layer, _ in wanted) < WORTH:
        return None
    if not all(_is_gzip(layer.media_types) for layer, _ in wanted):
        return None
    found: dict[Digest, LayerInfo] = {}

    def look(pair: tuple[Layer, Digest], _: object) -> None:
        layer, diff_id = pair
        if (size := _size(layer, source)) is not None:
            found[layer.descriptor.digest] = LayerInfo(diff_id, "gzip", size)

    try:
        threads.for_each(wanted, look, jobs=AT_A_TIME, name="imgfetch-size")
    except ImgfetchError as error:  # the download of the layer will tell it
        _logger.info("the size of a decompressed layer is not known: %s", error)
    return found if len(found) == len(wanted) else None


def _is_gzip(media_types: Collection[str]) -> bool:
    return {mediatypes.LAYER_COMPRESSION.get(media_type) for media_type in media_types} == {"gzip"}


def _size(layer: Layer, source: Source) -> int | None:
    """Request the last bytes of a layer; return ``None`` if they state no size of a tar."""
    offset = layer.descriptor.size - _TRAILER
    if offset <= 0:
        return None
    trailer = source.piece(layer.reference, layer.descriptor, layer.what, offset=offset, length=_TRAILER)
    return size_of(trailer, layer.descriptor.size)


def size_of(trailer: bytes, compressed: int) -> int | None:
    """Return the likely size of a tar from the last bytes of its gzip file, or ``None``."""
    if len(trailer) != _TRAILER:
        return None
    size = int.from_bytes(trailer[4:], "little")
    least = int(compressed * _LEAST_TIMES)
    size += max(0, -(-(least - size) // _MODULUS)) * _MODULUS
    return size if size % BLOCK == 0 and 0 < size <= compressed * _MOST_TIMES else None
