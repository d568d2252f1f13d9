"""From what is wanted to a plan: which documents there are, and which blobs have to be brought."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgfetch.archive.formats import Format
from imgfetch.archive.selection import Selection, blobs_of, merged
from imgfetch.defaults import MTIME
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull.downloads import Layer, distinct, layers_of, others_of
from imgfetch.pull.plan import Plan
from imgfetch.pull.resolve import Resolver
from imgfetch.pull.select_platforms import select, select_all

if TYPE_CHECKING:
    from imgfetch.pull.base import Held

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An archive that is wanted.

    Attributes:
        references: its images.
        form: its kind.
        platforms: the machines that they are for; none is this machine.
        has_all: whether all platforms of an index are wanted, and what else it lists.
        is_plain: whether all layers are to be decompressed.
        name: what the image is to be called in it, if not by its reference.
        bases: images, and archives of images, that its readers have.
        mtime: the time of every entry, in seconds since 1970.
    """

    references: tuple[Reference, ...]
    form: Format
    platforms: tuple[Platform, ...] = ()
    has_all: bool = False
    is_plain: bool = False
    name: Reference | None = None
    bases: tuple[Reference | Path, ...] = ()
    mtime: int = MTIME


def planned(wanted: Wanted, registry: Source, resolver: Resolver) -> Plan:
    """Find the images, and what has to be brought for them.

    Args:
        wanted: the archive.
        registry: where the images are.
        resolver: finds documents there, and puts them into its store.

    Raises:
        InvalidReferenceError: two different images would have one name.
        ImgfetchError: as for `Resolver.resolve`.
    """
    held = _held(wanted, resolver) if wanted.bases else None
    selections: list[Selection] = []
    layers: list[Layer] = []
    for reference in wanted.references:
        selection = _selected(wanted, reference, resolver)
        if held:
            selection = held.without_held(selection, by_chain=wanted.form.is_by_chain)
            _warn(reference, selection, held)
        for image in selection.images:
            layers += layers_of(image, registry)
        layers += others_of(selection, registry)
        selections.append(selection.named((wanted.name,)) if wanted.name else selection)
    together = merged(selections)
    needed = blobs_of(together)
    plan = Plan(
        together,
        distinct(layer for layer in layers if layer.descriptor.digest in needed),
        form=wanted.form,
        is_plain=wanted.is_plain,
        mtime=wanted.mtime,
        store=resolver.store,
    )
    plan.store.reserve(layer.descriptor.digest for layer in plan.layers)
    return plan


def _warn(reference: Reference, selection: Selection, held: Held) -> None:
    """Say where a base is of no use, or not for every reader."""
    bases = ", ".join(held.names) or "the base"
    if not selection.left_out:
        _logger.warning(
            "%s has no layers in common with %s, or is for another platform; none is left out", reference, bases
        )
    elif others := selection.left_out - held.blobs:
        _logger.warning(
            "%d of the layers of %s that are left out are in %s by their content, but not known to be the same blobs: "
            "docker's classic store takes the archive, containerd does not",
            len(others),
            reference,
            bases,
        )


def _held(wanted: Wanted, resolver: Resolver) -> Held:
    # Most archives leave nothing out, and do not wait for what reads those of others.
    from imgfetch.archive.recognise import read_undamaged  # noqa: PLC0415
    from imgfetch.pull.base import Held  # noqa: PLC0415

    held = Held()
    for base in wanted.bases:
        if isinstance(base, Path):
            held |= Held.of_archive(read_undamaged(base)[1])
        else:
            held |= Held.of_selection(_selected(wanted, base, resolver))
    return held


def _selected(wanted: Wanted, reference: Reference, resolver: Resolver) -> Selection:
    if wanted.has_all:
        return select_all(resolver, reference, wanted.platforms[0] if wanted.platforms else None)
    return select(resolver, reference, wanted.platforms)
