"""Shortcuts to a store for tests."""

from __future__ import annotations

from collections.abc import Callable

from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.source import Body
from imgfetch.store.blobs import BlobStore
from imgfetch.store.partial import PartialBlob


def add(
    store: BlobStore,
    descriptor: Descriptor,
    body: Body,
    label: str,
    *,
    layer: Callable[[], DiffIdCheck] | None = None,
) -> LayerInfo | None:
    """Add a blob from its first byte, and return the findings about a layer."""

    def receive(part: PartialBlob) -> LayerInfo | None:
        part.discard()
        return part.receive(body)

    brought = store.bring(descriptor, label, receive, layer=layer)
    assert brought is not None
    return brought.contents


def receive_part(store: BlobStore, descriptor: Descriptor, body: Body, label: str = "layer") -> None:
    """Continue a partial download, which may end too early."""

    def receive(part: PartialBlob) -> LayerInfo | None:
        part.rehash()
        return part.receive(body)

    store.bring(descriptor, label, receive)
