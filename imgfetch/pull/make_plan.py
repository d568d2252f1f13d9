"""The way from a request to a plan: the images for its platforms, without the layers of its bases."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from imgfetch.archive.selection import Selection, blobs_of, merged
from imgfetch.errors import ImgfetchError
from imgfetch.oci import config_demands, manifest_demands
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.progress import Progress
from imgfetch.pull import together
from imgfetch.pull.base import BaseLayers
from imgfetch.pull.layer import distinct, layers_of, others_of
from imgfetch.pull.plan import Plan, SaveRequest
from imgfetch.pull.quota import Quota
from imgfetch.pull.resolve import Resolver
from imgfetch.pull.select_images import select
from imgfetch.text import format_some

_MAX_NAMED = 8

_logger = logging.getLogger(__name__)


def make_plan(
    request: SaveRequest, resolver: Resolver, progress: Progress | None = None, *, is_serial: bool = False
) -> Plan:
    """Find the images of an archive and the blobs that it needs, and store their documents."""
    failures: list[ImgfetchError] = []
    plans = [plan for _, plan in make_plans(request, resolver, failures, progress, is_serial=is_serial)]
    archived = merged(selection for plan in plans for selection in plan.selections)
    needed = blobs_of(archived)
    layers = distinct(layer for plan in plans for layer in plan.layers if layer.descriptor.digest in needed)
    return Plan(request, archived, layers, tuple(failures))


def make_plans(
    request: SaveRequest,
    resolver: Resolver,
    failures: list[ImgfetchError],
    progress: Progress | None = None,
    *,
    is_serial: bool = False,
    look: Callable[[ImageRequest], object] = lambda _: None,
) -> list[tuple[ImageRequest, Plan]]:
    """Find the images of a request, and return each with the plan of an archive of its own.

    If the request allows that, errors become ``failures``.  ``look`` is called before an image is requested.
    """
    base = _base_layers(request, resolver)
    quota = Quota(resolver.source, (image.reference for image in request.images))

    def plan(image: ImageRequest) -> tuple[Plan, tuple[Platform, ...]]:
        look(image)
        quota.began(image.reference)
        found = resolver.document(image.reference)
        quota.check()
        selection, lacking = select(found, image, request, resolver)
        return _plan(image, selection, request, base, resolver), lacking

    failed = failures.append if request.keep_going else None
    found = together.each(
        request.images, plan, stop=resolver.stop, progress=progress, is_serial=is_serial, failed=failed
    )
    _report_lacking([(image.reference, lacking) for image, (_, lacking) in found], len(request.images))
    return [(image, plan) for image, (plan, _) in found]


def _plan(
    image: ImageRequest, selected: Selection, request: SaveRequest, base: BaseLayers | None, resolver: Resolver
) -> Plan:
    """Return the plan of an archive of one image of a request."""
    selection = base.left_out_of(selected, by_chain=request.format.is_by_chain) if base else selected
    selection = _signed(selection, image.reference, request, resolver)
    for warning in _warnings(selection, image.reference, request, resolver):
        resolver.tolerance.warn(warning)
    layers = [layer for found in selection.images for layer in layers_of(found, image.origin)]
    layers += others_of(selection, image.origin)
    name = image.name or request.name
    named = selection.named((name,)) if name else selection
    archived = (named._replace(origin=image.origin),)
    needed = blobs_of(archived)
    return Plan(
        replace(request, images=(image,)),
        archived,
        distinct(layer for layer in layers if layer.descriptor.digest in needed),
    )


def _signed(selection: Selection, reference: Reference, request: SaveRequest, resolver: Resolver) -> Selection:
    """Return a selection with the signatures and the like that a request asks for; require those that it demands."""
    if request.has_referrers:
        from imgfetch.pull.signed import with_referrers  # noqa: PLC0415

        selection = with_referrers(selection, reference, resolver, everything=request.referrers)
    if request.policy:
        from imgfetch.pull.signers import require_signatures  # noqa: PLC0415

        require_signatures(request.policy, selection, reference, resolver)
    return selection.without_content()


def _report_lacking(found: Iterable[tuple[Reference, Iterable[Platform]]], count: int) -> None:
    """Warn that images of a list lack platforms, once for each platform."""
    lacking: dict[Platform, list[str]] = {}
    for reference, platforms_ in found:
        for platform in platforms_:
            lacking.setdefault(platform, []).append(str(reference))
    for platform, names in lacking.items():
        _logger.warning(
            "%d of %d images are not available for %s, and were saved without it: %s",
            len(names),
            count,
            platform,
            format_some(names, _MAX_NAMED),
        )


def _warnings(selection: Selection, reference: Reference, request: SaveRequest, resolver: Resolver) -> Iterator[str]:
    """Yield a sentence for each group of readers that refuse a document of the archive."""
    read, has_manifests = resolver.store.read, not request.format.has_one_platform
    for index in selection.indexes:
        yield from manifest_demands.warnings(read(index.digest), f"the index of {reference}")
    for image in selection.images:
        if has_manifests:
            yield from manifest_demands.warnings(read(image.manifest.descriptor.digest), f"the manifest of {reference}")
        raw = read(image.manifest.config.digest)
        yield from config_demands.warnings(image.config, raw, f"the config of {reference}")


def _base_layers(request: SaveRequest, resolver: Resolver) -> BaseLayers | None:
    """Return the layers of a request's bases, or ``None`` if it has none."""
    found = BaseLayers()
    for base in request.bases:
        if isinstance(base, Path):
            from imgfetch.archive.recognise import read_undamaged  # noqa: PLC0415

            found |= BaseLayers.of_archive(read_undamaged(base)[1])
        else:
            with together.named(base, "base "):
                selection, _ = select(resolver.document(base), ImageRequest(base), request, resolver)
            found |= BaseLayers.of_selection(selection)
    return found if request.bases else None
