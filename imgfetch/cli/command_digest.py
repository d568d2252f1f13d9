"""`imgfetch digest`."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.reference import Reference
from imgfetch.pull.client import Client


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print each reference with its digest, once all digests are known."""
    del display
    arguments.wished = context.images(arguments)
    if len(arguments.platform) > 1:
        usage(
            arguments,
            "digest accepts only one platform; without --platform, it prints the digest of the multi-platform index",
        )
    pinned = Client(**context.client_settings(arguments)).pin(arguments.wished, platform=arguments.platform)
    if arguments.json:
        stdout.show([json.dumps([_as_json(*each) for each in zip(pinned, arguments.wished, strict=True)], indent=1)])
    elif arguments.keep_tag:
        stdout.show(map(_line, pinned, arguments.wished))
    else:
        stdout.show(str(replace(reference, tag=None)) for reference in pinned)
    return 0


def _as_json(pinned: Reference, image: ImageRequest) -> dict[str, object]:
    return {
        "reference": str(image.reference),
        "digest": str(pinned.digest),
        "pinned": str(pinned),
        "platforms": list(map(str, image.platforms)),
        "name": str(image.name) if image.name else None,
    }


def _line(pinned: Reference, image: ImageRequest) -> str:
    """Return the line of a list for a later save, with the options that the image has in its list."""
    platforms = f" --platform {','.join(map(str, image.platforms))}" if image.platforms else ""
    return f"{pinned}{platforms}{f' --name {image.name}' if image.name else ''}"
