"""The layers of archives, verified and decompressed, before anything is read from them for a patch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from imgfetch import threads
from imgfetch.archive.contents import Archive
from imgfetch.archive.recognise import read_undamaged
from imgfetch.archive.scan import Scan
from imgfetch.archive.streams import Advanced
from imgfetch.defaults import MAX_LAYER
from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.inputs import opened_regular
from imgfetch.layers.compression import HEAD, decompress, detect
from imgfetch.oci.digest import Digest
from imgfetch.patch.ahead import ahead
from imgfetch.patch.layerfile import LayerFile, Part, pieces, temporary
from imgfetch.text import sanitize

_JOBS = 2
_AGAIN = "copy or save that archive again"


class Loaded(NamedTuple):
    """An archive that is open for its layers.

    Attributes:
        file: the archive, or ``None`` for a directory.
        members: its members.
        archive: its images.
        layers: those that were wanted and that it has, by diff_id.
        places: the positions in the file of those that are stored there as they are.
    """

    file: BinaryIO | None
    members: Scan
    archive: Archive
    layers: Mapping[Digest, LayerFile]
    places: Mapping[Digest, int]


class _Stored(NamedTuple):
    """A layer as it is stored: a part of a file."""

    diff_id: Digest
    label: str
    file: BinaryIO
    position: int
    size: int


@contextmanager
def loaded(
    source: Path | BinaryIO, wanted: Collection[Digest] | None = None, advanced: Advanced | None = None
) -> Iterator[Loaded]:
    """Open an archive and verify the layers that are wanted, by default all.

    Args:
        source: an archive of any tool, compressed or not, an OCI image layout, or an open file.
        wanted: diff_ids.
        advanced: called with numbers of decompressed bytes that have been verified.

    Raises:
        VerificationError: the archive is damaged, or a layer is not that of its diff_id.
        UnsupportedError: it is not an image archive.
        StorageError: it cannot be read, or there is no space for decompressed layers.
    """
    with ExitStack() as stack:
        file = stack.enter_context(_opened(source)) if isinstance(source, Path) else source
        if file:
            file.seek(0)
        load = _Loader(stack, advanced or (lambda _: None))
        members, archive = read_undamaged(file or source, load.spool)
        tar = load.spools[0] if load.spools else file or source
        stored = list(load.all(tar, members, _labels(archive, wanted, members.name)))
        largest_first = sorted(stored, key=lambda each: -each.size)
        threads.for_each(largest_first, lambda each, _: load.one(each), jobs=_JOBS, name="imgfetch-load")
        layers = {each.diff_id: load.layers[each.diff_id] for each in stored}
        places = {diff_id: layer.start for diff_id, layer in layers.items() if layer.file is file}
        yield Loaded(file, members, archive, layers, places)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    """Open a file, and no directory."""
    with storage_errors(path, "read"):
        is_directory = path.is_dir()
    if is_directory:
        yield None
        return
    with _open(path) as file:
        yield file


def _open(path: Path) -> BinaryIO:
    with storage_errors(path, "read"):
        return opened_regular(path)


def _labels(archive: Archive, wanted: Collection[Digest] | None, name: str) -> dict[str, tuple[Digest, str]]:
    """Return by member the diff_id and the name of each layer, of several members with one diff_id the first."""
    found: dict[Digest, tuple[str, str]] = {}
    for image in archive.images:
        of = next(iter(image.names), str(image.config_digest))
        for number, layer in enumerate(image.layers, 1):
            if not layer.is_absent and (wanted is None or layer.diff_id in wanted):
                label = f"layer {number}/{len(image.layers)} of {of} in {sanitize(name)}"
                found.setdefault(layer.diff_id, (layer.member, label))
    return {member: (diff_id, label) for diff_id, (member, label) in found.items()}


class _Loader:
    """Verifies layers, and decompresses them into temporary files."""

    def __init__(self, stack: ExitStack, advanced: Advanced) -> None:
        self._stack, self._advanced = stack, advanced
        self.layers: dict[Digest, LayerFile] = {}
        self.spools: list[BinaryIO] = []
        self._free: list[BinaryIO] = []

    def spool(self) -> BinaryIO:
        """Open a temporary file."""
        self.spools.append(self._stack.enter_context(temporary()))
        return self.spools[-1]

    def all(
        self, source: Path | BinaryIO, members: Scan, labels: Mapping[str, tuple[Digest, str]]
    ) -> Iterator[_Stored]:
        """Yield the layers, of a tar or of a directory, which are not loaded yet."""
        for name, (diff_id, label) in labels.items():
            if member := members.get(name):
                if isinstance(source, Path):
                    file, position = self._stack.enter_context(_open(source / member.entry.name)), 0
                else:
                    file, position = source, member.offset
                yield _Stored(diff_id, label, file, position, member.entry.size)

    def one(self, stored: _Stored) -> None:
        """Load a layer."""
        head = Part(stored.file, stored.position, stored.size).read(HEAD)
        content = Part(stored.file, stored.position, stored.size)
        if detect(head) == "plain":
            self._verify(stored.diff_id, stored.label, pieces(content), lambda _: None)
            self.layers[stored.diff_id] = LayerFile(stored.diff_id, stored.size, stored.file, stored.position)
        else:
            self._keep(stored.diff_id, stored.label, ahead(decompress(content)))

    def _keep(self, diff_id: Digest, label: str, pieces: Iterable[bytes]) -> None:
        """Verify a layer while it is written to a temporary file, behind others: a process may open few files."""
        try:
            file = self._free.pop()
        except IndexError:
            file = self.spool()
        with storage_errors("a temporary file", "write"):
            start = file.seek(0, os.SEEK_END)
            size = self._verify(diff_id, label, pieces, file.write)
            file.flush()
        self.layers[diff_id] = LayerFile(diff_id, size, file, start)
        self._free.append(file)

    def _verify(self, diff_id: Digest, label: str, pieces: Iterable[bytes], write: Callable[[bytes], object]) -> int:
        hasher, size = diff_id.hasher(), 0
        try:
            for piece in pieces:
                size += len(piece)
                if size > MAX_LAYER:
                    raise UnsupportedError(f"it has more than {MAX_LAYER} bytes")
                hasher.update(piece)
                write(piece)
                self._advanced(len(piece))
        except (VerificationError, UnsupportedError) as error:
            raise type(error)(f"{label} cannot be read: {error}", hint=_AGAIN) from None
        if not diff_id.matches(hasher):
            got = str(hasher.digest)
            raise VerificationError(f"{label} does not match the config", wanted=str(diff_id), got=got, hint=_AGAIN)
        return size


def has_layers(path: Path) -> frozenset[Digest]:
    """Return the diff_ids of the layers in an archive, without reading them; none if it is not one.

    Raises:
        VerificationError: the archive is damaged.
        StorageError: it cannot be read.
    """
    try:
        _, archive = read_undamaged(path)
    except UnsupportedError:
        return frozenset()
    return frozenset(layer.diff_id for image in archive.images for layer in image.layers if not layer.is_absent)
