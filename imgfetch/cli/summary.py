"""The summary of a save, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imgfetch.archive.streams import name_of
from imgfetch.cli import attached
from imgfetch.cli.display import Display
from imgfetch.oci.policy import SignaturePolicy
from imgfetch.pull.results import Saved, SavedImage
from imgfetch.text import counted, format_size, format_some, sanitize

if TYPE_CHECKING:
    from imgfetch.pull.patch import SavedPatch

_MAX_NAMED = 8


def as_json(saved: Saved, output: str, seconds: float) -> dict[str, object]:
    """Return an archive as an object for programs."""
    return {
        "output": output,
        "size": saved.size,
        "seconds": round(seconds, 3),
        "unchanged": saved.is_unchanged,
        "downloaded": saved.downloaded,
        "cached": saved.cached,
        "received": dict(saved.received),
        "images": [
            {
                "references": [str(reference) for reference in image.references],
                "digest": str(image.digest),
                "image_id": str(image.image_id),
                "platform": str(image.platform),
                "referrers": attached.as_json(image.referrers),
            }
            for image in saved.images
        ],
    }


def summarize(saved: Saved, output: str, seconds: float, display: Display) -> None:
    """Report an archive: a line for each of several images, and one with sizes and seconds."""
    target = "stdout" if output == "-" else sanitize(output)
    named = list(map(_named, saved.images))
    bases = dict.fromkeys(sanitize(base) for image in saved.images for base in image.bases)
    advice = f"; load {', '.join(bases)} first, or the image may not run, though docker reports success"
    details = as_json(saved, output, seconds)
    for line in named if len(named) > 1 else ():
        display.message("info", line)
    images = named[0] if len(named) == 1 else _counted(saved)
    if saved.is_unchanged:
        display.message("unchanged", f"{target} already contains {images}; left untouched", details)
    else:
        display.message(
            "saved",
            f"saved {images} to {target} ({_measured(saved, seconds)}){advice if bases else ''}",
            details,
        )
    if any(saved.received.values()):
        shares = ", ".join(f"{format_size(count)} from {sanitize(name)}" for name, count in saved.received.items())
        display.message("info", f"received {shares}")


def patch_as_json(found: SavedPatch, output: str, seconds: float) -> dict[str, object]:
    """Return a patch as an object for programs."""
    return {**as_json(found.archive, output, seconds), "size": found.size, "archive_size": found.archive.size}


def summarize_patch(found: SavedPatch, output: str, old: str, seconds: float, display: Display) -> None:
    """Report a patch, as `summarize` does with an archive."""
    named = list(map(_named, found.archive.images))
    for line in named if len(named) > 1 else ():
        display.message("info", line)
    images = named[0] if len(named) == 1 else _counted(found.archive)
    target = "stdout" if output == "-" else sanitize(output)
    sizes = f"{format_size(found.size)} for an archive of {format_size(found.archive.size)}"
    downloaded = f"{format_size(found.archive.downloaded)} downloaded"
    display.message(
        "saved",
        f"saved a patch of {images} to {target} ({sizes}, {downloaded}, {seconds:.1f} s); apply it to the layers of "
        f"{name_of(old)}",
        patch_as_json(found, output, seconds),
    )


def note_referrers(images: Sequence[SavedImage], display: Display, *, has_policy: bool) -> None:
    """Report the signatures and the like that were found, and the images without any."""
    found = {each.descriptor.digest: each for image in images for each in image.referrers}
    if found:
        unverified = attached.unverified(list(found.values()), has_policy=has_policy)
        shown = f"the archive also contains {attached.found(list(found.values()))}"
        display.message("info", f"{shown}; {unverified}" if unverified else shown)
    lacking = dict.fromkeys(str(image.references[0]) for image in images if not image.referrers)
    if lacking:
        display.message("info", f"no signatures found for {format_some(lacking, _MAX_NAMED)}")


def note_signers(policy: SignaturePolicy | None, display: Display) -> None:
    """Report the keys and identities whose signatures were required and are valid."""
    for name in policy.names if policy else ():
        display.message("info", f"signed by {name}")


def count_unchanged(archives: Iterable[Saved], display: Display) -> None:
    """Report the number of archives that were up to date, if there are any."""
    if unchanged := sum(saved.is_unchanged for saved in archives):
        display.message("info", f"already up to date, and left untouched: {counted(unchanged, 'archive')}")


def note_nameless(images: Iterable[SavedImage], display: Display) -> None:
    """Mention that docker loads images without a name if they were requested by digest alone."""
    if nameless := sum(not any(reference.tag for reference in image.references) for image in images):
        which = "the image" if nameless == 1 else f"{nameless} images"
        display.message(
            "info",
            f"docker load gives {which} no name, because docker names images by tag alone; pin with imgfetch digest "
            "--keep-tag, or give a name with --name",
        )


def _named(image: SavedImage) -> str:
    """Return each name of an image once, and its digest unless all names have it."""
    names = list(dict.fromkeys(map(str, image.references)))
    digest = "" if all(name.endswith(f"@{image.digest}") for name in names) else f" {image.digest}"
    return f"{', '.join(names)}{digest} {image.platform}"


def _measured(saved: Saved, seconds: float) -> str:
    shares = f"{format_size(saved.downloaded)} downloaded, {format_size(saved.cached)} cached, " if saved.cached else ""
    return f"{format_size(saved.size)}, {shares}{seconds:.1f} s"


def _counted(saved: Saved) -> str:
    """Return the numbers of names and images."""
    names = len({reference for image in saved.images for reference in image.references})
    images = len({image.digest for image in saved.images})
    together = counted(images, "image")
    return together if names == images else f"{counted(names, 'name')}, {together}"
