"""The summary of a save, as lines and as JSON."""

from __future__ import annotations

from imgfetch.cli.display import Display
from imgfetch.pull.results import Saved
from imgfetch.text import format_size, sanitize


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
            }
            for image in saved.images
        ],
    }


def summarize(saved: Saved, output: str, seconds: float, display: Display) -> None:
    """Report an archive: a line for each of several images, and one with sizes and seconds."""
    target = "stdout" if output == "-" else sanitize(output)
    named = [
        f"{', '.join(str(reference) for reference in image.references)} {image.digest} {image.platform}"
        for image in saved.images
    ]
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


def _measured(saved: Saved, seconds: float) -> str:
    shares = f"{format_size(saved.downloaded)} downloaded, {format_size(saved.cached)} cached, " if saved.cached else ""
    return f"{format_size(saved.size)}, {shares}{seconds:.1f} s"


def _counted(saved: Saved) -> str:
    """Return the numbers of names and images."""
    names = len({reference for image in saved.images for reference in image.references})
    images = len({image.digest for image in saved.images})
    return f"{names} names, {images} images" if names != images else f"{images} images"
