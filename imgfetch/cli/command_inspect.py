"""`imgfetch inspect`."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgfetch.archive.streams import Source, size_of
from imgfetch.cli import attached, context, patches, stdout
from imgfetch.cli.board import width_of
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.patch.container import PatchReader
from imgfetch.patch.file import patch_or_archive
from imgfetch.pull.client import Client
from imgfetch.pull.inspection import Inspected, InspectedImage, InspectedLayer
from imgfetch.text import format_kinds, format_size, sanitize

_BAR = 12
_SHORT = 12
_LEFT = 13
_MAX_LINE = 2000
_WHOLE_DIGEST = re.compile(r"sha(256|512):[0-9a-f]{64,}$")


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print an image as text, as JSON, or as the bytes of its manifest."""
    del display
    context.check_stdin(arguments)
    if arguments.json and arguments.raw:
        usage(arguments, "--json cannot be combined with --raw")
    if len(arguments.platform) > 1:
        usage(arguments, "inspect accepts only one platform; without --platform, it shows the image for this machine")
    if isinstance(arguments.target, Reference):
        _show(arguments, arguments.target)
        return 0
    with patch_or_archive(Path(arguments.target)) as source:
        if isinstance(source, PatchReader):
            _show_patch(arguments, source)
        else:
            _show(arguments, source)
    return 0


def _show(arguments: argparse.Namespace, target: Reference | Source) -> None:
    platform = arguments.platform[0] if arguments.platform else None
    if platform is None and isinstance(target, Reference) and not arguments.raw:
        platform = context.default_platform(arguments)
    found = Client(**context.client_settings(arguments)).inspect(target, platform=platform)
    if arguments.raw:
        if found.raw is None:
            usage(arguments, f"{found.source} has {_several(found.images)}; choose one with --platform")
        stdout.show_bytes(found.raw)
    elif arguments.json:
        stdout.show([json.dumps(_as_json(found), indent=1)])
    else:
        width = shutil.get_terminal_size().columns if stdout.is_terminal() else _MAX_LINE
        stdout.show(_fitted(line, width) for line in _lines(found, width))


def _show_patch(arguments: argparse.Namespace, patch: PatchReader) -> None:
    if arguments.raw or arguments.platform:
        option = "--raw" if arguments.raw else "--platform"
        usage(arguments, f"{patch.name} is a patch, for which there is no {option}")
    if arguments.json:
        stdout.show([json.dumps(patches.as_json(patch.head), indent=1)])
    else:
        stdout.show(patches.lines(patch.head, patch.name, size_of(arguments.target)))


def _several(images: Sequence[InspectedImage]) -> str:
    return f"{len(images)} images" if len(images) != 1 else "an image without a manifest"


def _lines(found: Inspected, width: int) -> Iterator[str]:
    yield sanitize(found.source, width)
    yield from _fields(("kind", found.kind))
    if found.root and found.root.digest != _only_digest(found):
        yield _digest_line("digest", found.root.digest, width)
        yield from _fields(("media type", sanitize(found.root.media_type)))
    if found.file_size is not None:
        yield from _fields(("size", format_size(found.file_size)))
    yield from _list("platforms", [_listed(manifest, width) for manifest in found.manifests])
    yield from _fields(("artifacts", format_kinds(found.others)))
    subjects = {image.index: "the index" for image in found.images if image.index}
    subjects |= {image.digest: ", ".join(image.names) for image in found.images if image.digest}
    yield from _list("referrers", [sanitize(each, width) for each in attached.grouped(found.referrers, subjects)])
    for note in found.notes:
        yield from _fields(("note", sanitize(note, width)))
    for image in found.images:
        names = sanitize(", ".join(image.names) or "an image without a name", width)
        if names != sanitize(found.source, width):
            yield from ("", names)
        elif found.manifests:
            yield ""
        yield from _image_lines(image, width)


def _fitted(line: str, width: int) -> str:
    """Cut a line that a terminal would wrap, unless it has a whole digest, which people copy."""
    if width_of(line) <= width or _WHOLE_DIGEST.search(line):
        return line
    while width_of(line) >= width:
        line = line[:-1]
    return f"{line}…" if stdout.can_show("…") else line


def _only_digest(found: Inspected) -> Digest | None:
    """Return the digest of the only image, which is shown with it."""
    return found.images[0].digest if len(found.images) == 1 else None


def _digest_line(name: str, digest: Digest, width: int) -> str:
    """Return a line with a whole digest, without columns if they make it too long."""
    line = f"  {name:<{_LEFT}}{digest}"
    return line if len(line) <= width else f"{name} {digest}"


def _listed(manifest: Descriptor, width: int) -> str:
    what = "attestation" if manifest.is_attestation else str(manifest.platform or "no platform")
    return f"{what:<16} {_digest(manifest.digest, width - _LEFT - 19)}"


def _digest(digest: Digest, room: int) -> str:
    """Return a digest, or its algorithm and first digits where there is no room for all."""
    return str(digest) if len(str(digest)) <= room else f"{digest.algorithm}:{digest.encoded[:_SHORT]}"


def _image_lines(image: InspectedImage, width: int) -> Iterator[str]:
    details = image.details
    room = max(width - _LEFT - 2, 40)
    yield from _fields(("platform", str(image.platform)))
    if image.digest:
        yield _digest_line("digest", image.digest, width)
    yield from _fields(("media type", sanitize(image.media_type)))
    yield _digest_line("image ID", image.image_id, width)
    yield from _fields(
        ("created", sanitize(details.created)),
        ("author", sanitize(details.author, room)),
        ("entrypoint", _arguments(details.entrypoint, room)),
        ("command", _arguments(details.command, room)),
        ("user", sanitize(details.user)),
        ("directory", sanitize(details.working_dir)),
        ("stop signal", sanitize(details.stop_signal)),
        ("ports", sanitize(" ".join(details.ports), room)),
        ("volumes", sanitize(" ".join(details.volumes), room)),
    )
    yield from _list("environment", [sanitize(text, room) for text in details.environment])
    yield from _list("labels", [sanitize(f"{name}={text}", room) for name, text in details.labels.items()])
    yield f"  {'layers':<{_LEFT}}{len(image.layers)}, {format_size(image.size)}"
    largest = max((layer.size for layer in image.layers), default=0)
    for layer in image.layers:
        yield from _layer_lines(layer, largest, width)
    yield from _fields(("base", sanitize(image.base, room)))


def _layer_lines(layer: InspectedLayer, largest: int, width: int) -> Iterator[str]:
    bar = "" if layer.state != "present" else _drawn(layer.size, largest)
    note = layer.state if layer.state != "present" else layer.compression
    digest = _digest(layer.digest or layer.diff_id, width - _BAR - 44)
    line = f"    {format_size(layer.size):>8} {bar:<{_BAR}} {note:<8} {digest} "
    step = sanitize(" ".join(layer.created_by.split()), max(width - len(line), 20))
    yield f"{line}{step}".rstrip()


def _drawn(count: int, largest: int) -> str:
    """Return a bar to scale, of at least one cell for a layer that is not empty."""
    cell = "█" if stdout.can_show("█") else "#"
    return cell * max(round(_BAR * count / largest), 1 if count else 0) if largest else ""


def _fields(*fields: tuple[str, str]) -> Iterator[str]:
    """Yield a line for each field that is not empty."""
    for name, text in fields:
        if text:
            yield from _list(name, [text])


def _list(name: str, texts: Sequence[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield f"  {name if number == 0 else '':<{_LEFT}}{text}"


def _arguments(arguments: Sequence[str], room: int) -> str:
    return sanitize(json.dumps(arguments, ensure_ascii=False), room) if arguments else ""


def _as_json(found: Inspected) -> dict[str, object]:
    """Return the object that docs/json.md describes."""
    return {
        "source": found.source,
        "kind": found.kind,
        "digest": str(found.root.digest) if found.root else None,
        "media_type": found.root.media_type if found.root else None,
        "file_size": found.file_size,
        "manifests": [
            {
                "digest": str(manifest.digest),
                "media_type": manifest.media_type,
                "size": manifest.size,
                "platform": str(manifest.platform) if manifest.platform else None,
                "attestation": manifest.is_attestation,
            }
            for manifest in found.manifests
        ],
        "notes": list(found.notes),
        "others": [*found.others, *(each.title for each in found.referrers)],
        "referrers": attached.as_json(found.referrers),
        "images": [_image_as_json(image) for image in found.images],
    }


def _image_as_json(image: InspectedImage) -> dict[str, object]:
    details = image.details
    return {
        "names": list(image.names),
        "digest": str(image.digest) if image.digest else None,
        "index": str(image.index) if image.index else None,
        "media_type": image.media_type or None,
        "image_id": str(image.image_id),
        "platform": str(image.platform),
        "created": details.created or None,
        "author": details.author or None,
        "entrypoint": list(details.entrypoint),
        "command": list(details.command),
        "environment": list(details.environment),
        "labels": details.labels,
        "ports": list(details.ports),
        "volumes": list(details.volumes),
        "user": details.user or None,
        "working_dir": details.working_dir or None,
        "stop_signal": details.stop_signal or None,
        "size": image.size,
        "base": image.base or None,
        "layers": [
            {
                "digest": str(layer.digest) if layer.digest else None,
                "diff_id": str(layer.diff_id),
                "media_type": layer.media_type or None,
                "compression": layer.compression or None,
                "size": layer.size,
                "state": layer.state,
                "created_by": layer.created_by or None,
            }
            for layer in image.layers
        ],
        "history": [{"created_by": step.created_by, "empty": step.is_empty} for step in details.history],
    }
