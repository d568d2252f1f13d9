"""Patches from file to file: each output gets its name, or its first byte, when it is complete and verified."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.output import Output, opened, regular
from imgfetch.archive.streams import Advanced
from imgfetch.archive.verify import Verified
from imgfetch.archive.wanted import Wish
from imgfetch.files import atomic_write
from imgfetch.oci.names import one_or_many
from imgfetch.patch.apply import apply
from imgfetch.patch.layerfile import temporary
from imgfetch.patch.make import make
from imgfetch.patch.raw import make_raw

Name = str | os.PathLike[str]
_MODE = 0o666  # before the umask


def make_patch(old: Name, new: Name, output: Output, *, raw: bool = False, advanced: Advanced | None = None) -> int:
    """Make a patch, from which `apply_patch` makes a new archive where the layers of an old one are; return its size.

    Args:
        old: the archive that the target host has, of any tool.
        new: an archive of imgfetch, or of any tool if its layers are decompressed.
        output: the patch: a file, or a stream.
        raw: whether to write a frame for the zstd command instead, for archives of up to 2 GiB; the old archive must
            have decompressed layers then.
        advanced: called with numbers of bytes that have been read.

    Raises:
        UnsupportedError: an archive cannot be used, or a library is missing.
        VerificationError: an archive is damaged.
        StorageError: a file cannot be read or written.
    """
    with _complete(output) as out:
        if raw:
            return make_raw(Path(old), Path(new), out, advanced=advanced)
        return make(Path(old), Path(new), out, advanced=advanced).size


def apply_patch(
    patches: Name | Iterable[Name],
    base: Name | Iterable[Name],
    output: Output,
    wanted: Wish | Iterable[Wish] = (),
    *,
    advanced: Advanced | None = None,
) -> Verified:
    """Make a new archive from old layers and one or many patches, and verify it.

    Args:
        patches: the patches, the oldest first.
        base: archives with the old layers, or directories of archives.
        output: the archive: a file, or a stream, which gets it when it is complete.
        wanted: one or many images that the archive must contain, as for `imgfetch.verify`.  A digest may be that of a
            manifest or an index in the registry.
        advanced: called with numbers of bytes that have been read or written.

    Raises:
        InvalidReferenceError: a name is malformed.
        UnsupportedError: a file is not a patch, or one of a later version.
        VerificationError: a patch or an old layer is damaged, an old layer is missing, or the archive is another one.
        StorageError: a file cannot be read or written.
    """
    files: tuple[Name, ...] = one_or_many(patches)
    places: tuple[Name, ...] = one_or_many(base)
    with _complete(output) as out:
        return apply(list(map(Path, files)), list(map(Path, places)), out, wanted, advanced=advanced)


@contextmanager
def _complete(output: Output) -> Iterator[BinaryIO]:
    """Yield a file whose content goes to the output when the block succeeds."""
    if path := regular(output):
        with atomic_write(path, mode=_MODE, durable=True) as file:
            yield file
        return
    with temporary() as file:
        yield file
        file.seek(0)
        with opened(output, None) as out:
            shutil.copyfileobj(file, out)
