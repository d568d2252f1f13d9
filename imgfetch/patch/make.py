"""Making a patch from old layers and the archive that it is to make."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from imgfetch.archive.streams import Advanced
from imgfetch.errors import UnsupportedError
from imgfetch.files import storage_errors
from imgfetch.oci.digest import Digest
from imgfetch.patch import frames
from imgfetch.patch.compose import Composer, Draft
from imgfetch.patch.container import write_block, write_head
from imgfetch.patch.decompressed import result_of
from imgfetch.patch.entries import Window
from imgfetch.patch.given import opened_new, opened_old
from imgfetch.patch.head import Head, OldLayer
from imgfetch.patch.index import Index
from imgfetch.patch.layerfile import LayerFile, temporary
from imgfetch.patch.load import Loaded
from imgfetch.patch.match import New, Same, matched
from imgfetch.patch.pack import packed
from imgfetch.patch.result import Result
from imgfetch.patch.script import Span

_COPY = 4096
"""Bytes from which on it is worth an instruction that an old layer has them."""


def make(old: Path, new: Path, out: BinaryIO, *, advanced: Advanced | None = None) -> Head:
    """Write a patch that makes a new archive from an old one; `make_patch` documents the arguments and the errors."""
    library = frames.compression_library()
    with opened_old(old, advanced) as base, opened_new(new, advanced) as archive:
        return write_patch(base, result_of(archive), out, library, advanced=advanced)[0]


def write_patch(
    base: Loaded, result: Result, out: BinaryIO, library: ModuleType, *, advanced: Advanced | None = None
) -> tuple[Head, int]:
    """Write a patch when all of it is known, and return its head and its size.

    ``advanced`` is called with numbers of bytes that have been compared.

    Raises:
        UnsupportedError: there are no old layers.
        VerificationError: a file became shorter.
        StorageError: a file cannot be read or written.
    """
    with temporary() as body:
        maker = _Maker(base, result, advanced or (lambda _: None))
        with storage_errors("a temporary file", "write"):
            lengths = [write_block(block, body) for block in packed(maker.drafts(), maker.used, library)]
            body.seek(0)
        head = maker.head(len(lengths), sum(lengths))
        size = write_head(head, out) + head.length
        shutil.copyfileobj(body, out)
    return head, size


class _Maker:
    """Compares an archive with old layers."""

    def __init__(self, base: Loaded, result: Result, advanced: Advanced) -> None:
        self._base, self._result, self._advanced = base, result, advanced
        self._layers = tuple(base.layers.values())
        if not self._layers:
            raise UnsupportedError(f"{base.members.name} has no layers")
        self._numbers: dict[int, int] = {}
        self.used: list[LayerFile] = []
        self._hash, self._size = hashlib.sha256(), 0
        self._composer = Composer(self.used)

    def drafts(self) -> Iterator[Draft]:
        """Yield the blocks of the patch."""
        by_diff_id = {layer.diff_id: number for number, layer in enumerate(self._layers)}
        index = Index(self._layers)
        for part in self._result.parts:
            if isinstance(part, bytes):
                self._count(part)
                yield from self._composer.new(part, None)
            elif part.diff_id in by_diff_id:
                self._pass(part)
                yield from self._same(Span(by_diff_id[part.diff_id], 0, part.size))
            else:
                self._pass(part)
                yield from self._compared(part, index)
        yield from self._composer.finish()

    def _compared(self, layer: LayerFile, index: Index) -> Iterator[Draft]:
        """Yield the blocks of a layer that the base lacks."""
        window = Window(layer)
        for step in _merged(matched(window, index)):
            if isinstance(step, Same):
                yield from self._same(step.span)
            else:
                near = step.near and self._numbered(step.near)
                for start in range(step.position, step.position + step.length, _MOST):
                    length = min(_MOST, step.position + step.length - start)
                    yield from self._composer.new(window.read(start, length), near)

    def head(self, blocks: int, length: int) -> Head:
        """Return the head of the patch."""
        labels = _labels(self._base)
        base = tuple(OldLayer(layer.diff_id, layer.size, labels[layer.diff_id]) for layer in self.used)
        digest = Digest("sha256", self._hash.hexdigest())
        return Head(base, digest, self._size, self._result.images, self._result.documents, blocks, length)

    def _same(self, span: Span) -> Iterator[Draft]:
        yield from self._composer.same(self._numbered(span))

    def _numbered(self, span: Span) -> Span:
        """Return a span with the number that its layer has in the patch, where only those in use are listed."""
        if span.layer not in self._numbers:
            self._numbers[span.layer] = len(self.used)
            self.used.append(self._layers[span.layer])
        return span._replace(layer=self._numbers[span.layer])

    def _pass(self, layer: LayerFile) -> None:
        for piece in layer.pieces(0, layer.size):
            self._count(piece)

    def _count(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._size += len(piece)
        self._advanced(len(piece))


_MOST = 1024 * 1024


def _merged(steps: Iterator[New | Same]) -> Iterator[New | Same]:
    """Join what is the same in a row, and take what is too short for new."""
    last: Same | None = None
    for step in steps:
        if (
            last
            and isinstance(step, Same)
            and step.span.layer == last.span.layer
            and step.span.position == last.span.end
        ):
            last = Same(last.position, last.span._replace(length=last.span.length + step.span.length))
            continue
        if last:
            yield _worth(last)
        last = step if isinstance(step, Same) else None
        if last is None:
            yield step
    if last:
        yield _worth(last)


def _worth(step: Same) -> New | Same:
    return step if step.span.length >= _COPY else New(step.position, step.span.length, step.span)


def _labels(base: Loaded) -> dict[Digest, str]:
    """Return the place of each old layer, for messages."""
    labels: dict[Digest, str] = {}
    for image in base.archive.images:
        name = next(iter(image.names), str(image.config_digest))
        for number, layer in enumerate(image.layers, 1):
            labels.setdefault(layer.diff_id, f"layer {number}/{len(image.layers)} of {name}")
    return labels
