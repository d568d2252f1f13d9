"""A patch as text and as JSON, for `imgfetch inspect` and `imgfetch verify`."""

from __future__ import annotations

from collections.abc import Iterator

from imgfetch.patch.head import Head, NewImage
from imgfetch.text import format_size, sanitize

KIND = "a patch of imgfetch"


def lines(head: Head, name: str, size: int | None) -> Iterator[str]:
    """Yield the lines about a patch for people; the size of a pipe is not known."""
    yield sanitize(name)
    yield f"  kind         {KIND}"
    if size is not None:
        yield f"  size         {format_size(size)}"
    yield f"  archive      {format_size(head.size)}, {head.digest}"
    for image in head.images:
        yield f"  image        {described(image)}"
        yield f"  image ID     {image.image_id}"
    for layer in head.base:
        yield sanitize(f"  old layer    {layer.label}, {format_size(layer.size)}, {layer.diff_id}")


def described(image: NewImage) -> str:
    """Return the names and the platform of an image."""
    return sanitize(f"{', '.join(image.names) or 'an image without a name'} {image.platform}")


def as_json(head: Head) -> dict[str, object]:
    """Return the members of a patch for programs."""
    return {
        "kind": KIND,
        "archive": {"digest": str(head.digest), "size": head.size},
        "images": [
            {"names": list(image.names), "image_id": str(image.image_id), "platform": image.platform}
            for image in head.images
        ],
        "old_layers": [
            {"diff_id": str(layer.diff_id), "size": layer.size, "layer": layer.label} for layer in head.base
        ],
    }
