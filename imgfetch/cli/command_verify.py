"""`imgfetch verify`."""

from __future__ import annotations

import argparse
import json

from imgfetch.archive.verify import Verified, verify
from imgfetch.cli import stdout
from imgfetch.cli.display import Display
from imgfetch.files import storage_errors
from imgfetch.progress import Item
from imgfetch.text import sanitize

_BROKEN = 6
_MAX_LINE = 2000


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Verify an archive, and print a line for each finding, or for each image if there is none."""
    path = arguments.file
    with storage_errors(path, "read"):
        item = Item(sanitize(path.name), path.stat().st_size)
    display.planned([item])
    display.started(item)
    verified = verify(path, arguments.wanted, advanced=lambda count: display.advanced(item, count))
    display.finished(item, cached=False)
    display.close()
    if arguments.json:
        stdout.show([json.dumps(_as_json(verified), indent=1)])
    else:
        stdout.show([sanitize(line, _MAX_LINE) for line in _lines(verified)])
    return _BROKEN if verified.findings else 0


def _lines(verified: Verified) -> list[str]:
    held = [
        f"ok: {', '.join(image.names) or 'an image without a name'} "
        f"{image.manifest.descriptor.digest if image.manifest else f'(image ID {image.config_digest})'} "
        f"{image.config.platform}, {len(image.layers)} layer{'' if len(image.layers) == 1 else 's'}"
        for image in verified.images
    ]
    return [*(verified.findings or held), *(f"note: {note}" for note in verified.notes)]


def _as_json(verified: Verified) -> dict[str, object]:
    return {
        "kind": verified.kind,
        "ok": not verified.findings,
        "findings": list(verified.findings),
        "notes": list(verified.notes),
        "images": [
            {
                "names": list(image.names),
                "digest": str(image.manifest.descriptor.digest) if image.manifest else None,
                "index": str(image.indexes[-1]) if image.indexes else None,
                "image_id": str(image.config_digest),
                "platform": str(image.config.platform),
                "layers": [
                    {
                        "diff_id": str(layer.diff_id),
                        "digest": str(layer.digest) if layer.digest else None,
                        "member": layer.member,
                        "size": layer.size,
                        "absent": layer.is_absent,
                    }
                    for layer in image.layers
                ],
            }
            for image in verified.images
        ],
    }
