"""`imgfetch digest`."""

from __future__ import annotations

import argparse
from dataclasses import replace

from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.pull.client import Client


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print each reference with its digest, once all digests are known."""
    del display
    arguments.references = context.references(arguments)
    if len(arguments.platform) > 1:
        usage(
            arguments,
            "digest accepts only one platform; without --platform, it prints the digest of the multi-platform index",
        )
    pinned = Client(**context.client_settings(arguments)).pin(arguments.references, platform=arguments.platform)
    stdout.show([str(one if arguments.keep_tag else replace(one, tag=None)) for one in pinned])
    return 0
