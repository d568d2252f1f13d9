"""Applying patches: the archive is rebuilt, and verified while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.streams import Advanced, joined
from imgfetch.archive.verify import Examined, Verified, examine
from imgfetch.archive.wanted import Wanted, Wish
from imgfetch.errors import ImgfetchError, NoSpaceError, VerificationError
from imgfetch.files import NO_SPACE, NO_TEMPORARY_SPACE, storage_errors
from imgfetch.oci.digest import Hasher
from imgfetch.oci.names import one_or_many
from imgfetch.patch.ahead import ahead
from imgfetch.patch.base import Old, opened_base
from imgfetch.patch.container import PatchReader
from imgfetch.patch.file import opened_patch
from imgfetch.patch.layerfile import LayerFile, temporary
from imgfetch.patch.origin import Origins, require
from imgfetch.patch.rebuild import rebuilt
from imgfetch.text import format_size

_AGAIN = "make the patch again, with imgfetch patch or imgfetch save --patch-from"


def apply(
    patches: Sequence[Path],
    base: Sequence[Path],
    out: BinaryIO,
    wanted: Wish | Iterable[Wish] = (),
    *,
    advanced: Advanced | None = None,
) -> Verified:
    """Write the archive that patches make, one after the other, and verify it; ``out`` must not be used on an error.

    `apply_patch` documents the arguments and the errors.
    """
    wishes: tuple[Wish, ...] = one_or_many(wanted)
    parsed = [Wanted.parse(each) for each in wishes]
    places: Sequence[Old] = base
    with ExitStack() as stack:
        for path in patches[:-1]:
            with stack.pop_all(), opened_patch(path) as patch:  # the archive before is not needed any more then
                between = stack.enter_context(temporary())
                _apply(patch, places, between, (), advanced)
            places = [between, *base]
        with opened_patch(patches[-1]) as patch:
            return _apply(patch, places, out, parsed, advanced)


def _apply(
    patch: PatchReader, places: Sequence[Old], out: BinaryIO, wishes: Sequence[Wanted], advanced: Advanced | None
) -> Verified:
    _require_space(patch, out)
    origins = Origins(patch.head.documents)
    with opened_base(patch, places, advanced) as layers:
        result = _Result(patch, layers, out)
        examined = result.examined([own for each in wishes if (own := origins.in_the_result(each))], advanced)
    found = examined.verified
    require(wishes, origins, found, patch.name)
    if found.findings:
        raise VerificationError(
            f"{patch.name} makes an archive that no reader should load: {found.findings[0]}",
            details=found.findings[1:20],
        )
    if examined.scan.is_compressed or not examined.archive.is_plain:
        raise VerificationError(f"{patch.name} makes an archive that is compressed, or lacks layers", hint=_AGAIN)
    if {(image.names, image.image_id) for image in patch.head.images} != {
        (image.names, image.config_digest) for image in found.images
    }:
        raise VerificationError(f"{patch.name} makes an archive with other images than it says")
    return found


def _require_space(patch: PatchReader, out: BinaryIO) -> None:
    """Refuse a result for which there is no room, because a small patch may say that it makes a huge archive."""
    status, system = os.fstat(out.fileno()), os.fstatvfs(out.fileno())
    free = system.f_bavail * system.f_frsize
    if patch.head.size > free:
        raise NoSpaceError(
            f"{patch.name} makes an archive of {format_size(patch.head.size)}, but only {format_size(free)} are free",
            hint=NO_SPACE if status.st_nlink else NO_TEMPORARY_SPACE,
        )


class _Result:
    """A result that is hashed and written while others read it."""

    def __init__(self, patch: PatchReader, layers: Sequence[LayerFile], out: BinaryIO) -> None:
        self._patch, self._layers, self._out = patch, layers, out
        self._hasher = Hasher("sha256")
        self._error: ImgfetchError | None = None

    def examined(self, wishes: Sequence[Wanted], advanced: Advanced | None) -> Examined:
        """Verify the result while it is written.

        Raises:
            VerificationError: the patch or the result is damaged.
            UnsupportedError: the result is not an image archive, or cannot be verified.
            StorageError: it cannot be written.
        """
        file = joined(ahead(self._passed()), f"the archive of {self._patch.name}")
        try:
            found: Examined | ImgfetchError = examine(
                file, wishes, advanced=advanced, again=lambda: self._written(file)
            )
        except ImgfetchError as error:
            found = error
        self._finish(file)
        if isinstance(found, ImgfetchError):
            raise found
        return found

    def _written(self, file: BinaryIO) -> BinaryIO:
        """Return the result from its beginning, when it is complete."""
        self._finish(file)
        self._out.seek(0)
        return self._out

    def _finish(self, file: BinaryIO) -> None:
        """Read the rest, and require that the result has its digest; another error would only follow from that."""
        with suppress(ImgfetchError):
            while file.read(1024 * 1024):
                pass
        if self._error:
            raise self._error
        wanted, got = self._patch.head.digest, self._hasher.digest
        if got != wanted:
            raise VerificationError(
                f"{self._patch.name} makes another archive than it says", wanted=str(wanted), got=str(got)
            )

    def _passed(self) -> Iterator[bytes]:
        try:
            for piece in rebuilt(self._patch, self._layers):
                self._hasher.update(piece)
                with storage_errors("the result", "write"):
                    _write(self._out.fileno(), piece)
                yield piece
        except ImgfetchError as error:
            self._error = error
            raise


def _write(descriptor: int, piece: bytes) -> None:
    """Write without the copy that a file with a buffer makes."""
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]
