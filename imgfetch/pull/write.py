"""Writes an archive while its layers come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.tarlayout import Blob, TarLayout, UncompressedLayer
from imgfetch.errors import StorageError, UnsupportedError
from imgfetch.files import require_free_space, storing
from imgfetch.oci.digest import Digest
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.plan import Laid, Plan


def copier(laid: Laid, path: Path, out: BinaryIO) -> Callable[[Digest, int, bytes], None]:
    """Return what writes a layer into the file for ``path`` while it comes, which has no name that anybody reads."""

    def copy(digest: Digest, position: int, data: bytes) -> None:
        with storing(path, "write"):
            laid.layout.put(digest, position, data, out)

    return copy


def fill(plan: Plan, laid: Laid | None, downloads: Downloads, out: BinaryIO, *, path: Path, jobs: int) -> Laid:
    """Write an archive into a file, and return how it turned out to be laid out.

    Args:
        plan: what is wanted.
        laid: how it is laid out, as far as is known; the file has been made ready for it.
        downloads: bring the layers, and copy them as they come where they can.
        out: the file.
        path: what it will be called.
        jobs: how many blobs are written at a time.

    Raises:
        ImgfetchError: a layer could not be had, or there is no room.
        OSError: the file does not take it.
    """
    for digest in downloads.arrivals():
        if laid and digest in laid.layout.blobs and not downloads.has_copied(digest):
            laid.layout.place(digest, plan.store.open, out)
    final = _final(plan, downloads)
    pending: Collection[Blob] = final.layout.blobs
    if laid and final.layout.members == laid.layout.members:
        layers = {layer.descriptor.digest for layer in plan.layers}
        pending = [blob for blob in pending if isinstance(blob, UncompressedLayer) or blob not in layers]
    else:  # it depends on what is in the layers
        require_free_space([(path.parent, final.layout.size, "the archive")])
        final.layout.scaffold(out)
    _place(final.layout, pending, plan, out, jobs)
    return final


def stream(plan: Plan, laid: Laid | None, downloads: Downloads, out: BinaryIO, *, waits: bool) -> Laid:
    """Write an archive in order, each blob when it is in the store, and return how it is laid out.

    Args:
        plan: what is wanted.
        laid: how it is laid out, if that is known.
        downloads: bring the layers.
        out: where the bytes go; needs no more than ``write``.
        waits: whether to begin when all layers are there.

    Raises:
        ImgfetchError: a layer could not be had.
        UnsupportedError: a layer has to be decompressed, which was not known at the beginning.
        OSError: ``out`` does not take it.
    """
    if waits or laid is None:
        for _ in downloads.arrivals():
            pass
        laid = _final(plan, downloads)
    layers = {layer.descriptor.digest: layer for layer in plan.layers}

    def open_blob(digest: Digest) -> AbstractContextManager[BinaryIO]:
        downloads.wait(digest)
        found = downloads.contents.get(digest)
        if found and digest not in laid.plain and found.is_refused(layers[digest].descriptor.media_type):
            raise UnsupportedError(
                f"{layers[digest].what} has to stand decompressed in the archive, for some readers refuse it as it is, "
                "and that was not known when the archive was begun",
                hint="write to a file with -o; or run it again with the same cache, which knows it now",
            )
        return plan.store.open(digest)

    laid.layout.stream(open_blob, out)
    return laid


def _final(plan: Plan, downloads: Downloads) -> Laid:
    laid = plan.laid_out(lambda layer: downloads.contents.get(layer.descriptor.digest))
    assert laid is not None  # noqa: S101  # all layers have arrived
    return laid


def _place(layout: TarLayout, pending: Collection[Blob], plan: Plan, out: BinaryIO, jobs: int) -> None:
    """Write blobs that are in the store, several at a time."""
    is_over = threading.Event()

    def interrupt() -> None:
        if is_over.is_set():
            raise StorageError("stopped, for something else failed")

    with ThreadPoolExecutor(jobs, "imgfetch-write") as pool:
        try:
            largest_first = sorted(pending, key=lambda blob: -layout.size_of(blob))
            placed = pool.map(lambda blob: layout.place(blob, plan.store.open, out, interrupt=interrupt), largest_first)
            for _ in placed:
                pass
        except BaseException:
            is_over.set()
            pool.shutdown(cancel_futures=True)
            raise
