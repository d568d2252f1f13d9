"""The dry run of a save, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imgfetch.cli.board import format_blobs
from imgfetch.oci.platforms import Platform
from imgfetch.pull.forecast import Blob, Forecast
from imgfetch.text import counted, format_size, sanitize

_STATES = {"fetched": "download", "continued": "resume", "cached": "cached", "left out": "left out", "old": "old"}
"""Words for a blob that is to be saved, by `Blob.state`."""


def lines(found: Forecast) -> Iterator[str]:
    """Yield a line for each image with its blobs below it, and then the sums."""
    if found.old_images is not None:
        yield old_archive(found.old_images)
    waiting = {blob.digest: blob for blob in found.blobs}
    for image in found.images:
        names = ", ".join(map(str, image.references))
        yield f"{names} {image.platform}: {format_blobs(len(image.layers))}, {format_size(image.size)}"
        for digest in image.layers:
            blob = waiting.pop(digest, None)
            yield _line(blob) if blob else f"  {'shared':<8}  {digest}"
    yield from (["blobs beside the images:", *map(_line, waiting.values())] if waiting else ())
    to_fetch = f"{format_size(found.missing)} to download in {counted(found.requests, 'request')}"
    total = (
        f"size of the archive: {format_size(found.archive_size)}"
        if found.archive_size is not None
        else "the size of the archive depends on the content of the layers"
    )
    is_patch = found.old_images is not None
    absent = f"{format_size(found.old)} in the old archive" if is_patch else f"{format_size(found.left_out)} left out"
    yield f"{to_fetch}, {format_size(found.cached)} cached, {absent}; {total}"
    if is_patch:
        yield f"estimated size of the patch: {estimated(found.new)}"
    yield from (f"{registry} reports {pulls} pulls left" for registry, pulls in found.pulls_left.items())


def old_archive(images: Mapping[str, tuple[Platform, ...]]) -> str:
    """Return the line about the old archive of a patch, whose layers are not read."""
    shown = (" ".join([name, *map(str, platforms)]) for name, platforms in images.items())
    return sanitize(f"old archive: {', '.join(shown)}; not verified yet")


def estimated(new: int) -> str:
    """Return the estimate of a patch's size; only the comparison tells more."""
    if not new:
        return "some kilobytes, because no layer is new"
    return f"at most about {format_size(new)}, which the new layers have, and usually much less"


def _line(blob: Blob) -> str:
    return f"  {_STATES[blob.state]:<8}  {blob.digest}  {format_size(blob.size):>7}"


def as_json(found: Forecast) -> dict[str, object]:
    """Return a forecast as an object for programs."""
    return {
        "images": list(found.names),
        "contents": [
            {
                "references": list(map(str, image.references)),
                "digest": str(image.digest),
                "platform": str(image.platform),
                "size": image.size,
                "layers": list(map(str, image.layers)),
            }
            for image in found.images
        ],
        "blobs": [
            {"digest": str(blob.digest), "size": blob.size, "state": blob.state, "missing": blob.missing}
            for blob in found.blobs
        ],
        "bytes": found.missing,
        "cached": found.cached,
        "left_out": found.left_out,
        **({"old_images": list(found.old_images), "old": found.old, "new": found.new} if found.old_images else {}),
        "requests": found.requests,
        "archive_size": found.archive_size,
        "pulls_left": found.pulls_left,
    }
