"""The old layers that a patch needs, in archives and directories of archives."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.image_layout import is_image_layout
from imgfetch.archive.streams import Advanced, name_of
from imgfetch.errors import ImgfetchError, StorageError, UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.inputs import own_descriptor
from imgfetch.oci.digest import Digest
from imgfetch.patch.container import PatchReader
from imgfetch.patch.given import readable
from imgfetch.patch.layerfile import LayerFile
from imgfetch.patch.load import Loaded, has_layers, loaded
from imgfetch.text import format_some, sanitize

Old = Path | BinaryIO
_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
_MAX_SHOWN = 3

_logger = logging.getLogger(__name__)


@contextmanager
def opened_base(
    patch: PatchReader, places: Sequence[Old], advanced: Advanced | None = None
) -> Iterator[tuple[LayerFile, ...]]:
    """Find and verify the old layers of a patch.

    Args:
        patch: the patch.
        places: archives, and directories of archives; an earlier one is preferred.
        advanced: called with numbers of bytes that have been verified.

    Raises:
        VerificationError: a layer is missing or damaged, or has another size than the patch says.
        StorageError: an archive cannot be read.
    """
    missing = {layer.diff_id for layer in patch.head.base}
    found: dict[Digest, LayerFile] = {}
    seen: list[Loaded] = []
    failure: ImgfetchError | None = None
    with ExitStack() as stack:
        for place, is_named in _with_layers(places, missing):
            try:
                here = stack.enter_context(loaded(_copied(place, stack), frozenset(missing), advanced))
            except (VerificationError, UnsupportedError) as error:
                if is_named:
                    raise
                failure = failure or error
                _logger.warning("%s; looking for its layers in other archives", error)
                continue
            seen.append(here)
            found |= here.layers
            missing -= here.layers.keys()
            if not missing:
                break
        if missing:
            raise failure or _other_base(patch, places, missing, seen)
        layers = tuple(found[layer.diff_id] for layer in patch.head.base)
        for layer, wanted in zip(layers, patch.head.base, strict=True):
            if layer.size != wanted.size:
                raise VerificationError(f"{patch.name} has a wrong size of the layer {layer.diff_id}")
        yield layers


def _copied(place: Old, stack: ExitStack) -> Old:
    """Return a temporary copy of a stream, such as stdin, or else the place itself."""
    if not isinstance(place, Path) or own_descriptor(place) is None:
        return place
    return stack.enter_context(readable(place))


def _with_layers(places: Iterable[Old], missing: set[Digest]) -> Iterator[tuple[Old, bool]]:
    """Yield the archives that are named, and those in directories that have layers that are still missing."""
    for place in places:
        if not isinstance(place, Path) or (files := _archives(place)) is None:
            yield place, True
            continue
        for file in files:
            try:
                if missing & has_layers(file):
                    yield file, False
            except (VerificationError, StorageError) as error:
                _logger.warning("%s; its layers are not used", error)


def _archives(directory: Path) -> list[Path] | None:
    """Return what may be an archive in a directory, in order; ``None`` for an archive itself."""
    with storage_errors(directory, "read"):
        if not directory.is_dir() or is_image_layout(directory):
            return None
        return [
            file
            for file in sorted(directory.iterdir())
            if is_image_layout(file) or (file.name.endswith(_SUFFIXES) and file.is_file())
        ]


def _other_base(
    patch: PatchReader, places: Sequence[Old], missing: set[Digest], seen: Iterable[Loaded]
) -> VerificationError:
    """Return the error about missing layers, with the images that are there instead."""
    where = format_some([name_of(place) for place in places if isinstance(place, Path)], _MAX_SHOWN)
    absent = [layer for layer in patch.head.base if layer.diff_id in missing]
    lack = f"{len(absent)} of its {len(patch.head.base)} old layers are" if len(absent) > 1 else "an old layer is"
    has = [f"{here.members.name} has {_images(here)}" for here in seen]
    return VerificationError(
        f"{patch.name} cannot be applied: {lack} not in {where}",
        details=(
            *(f"missing: {sanitize(layer.label)}, {layer.diff_id}" for layer in absent[:_MAX_SHOWN]),
            *has[:_MAX_SHOWN],
        ),
        hint="name an archive of that image, or a directory with one: --from PATH",
    )


def _images(here: Loaded) -> str:
    """Return the images in an archive, as the labels of layers name them, with their platforms."""
    names = [f"{next(iter(image.names), image.config_digest)} {image.config.platform}" for image in here.archive.images]
    return format_some(list(map(sanitize, names)), _MAX_SHOWN)
