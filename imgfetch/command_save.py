"""`imgfetch save`."""

from __future__ import annotations

import argparse
import time

from imgfetch import invocation
from imgfetch.display import Display
from imgfetch.printable import clean, size
from imgfetch.pull import Saved, save


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Write an archive, and say what is in it."""
    began = time.monotonic()
    output = invocation.output(arguments)
    saved = save(
        arguments.references,
        output,
        platform=arguments.platform,
        archive_format=arguments.format,
        jobs=arguments.jobs,
        cache_dir=invocation.cache(arguments),
        cache_size=arguments.cache_size,
        max_layer_size=arguments.max_layer_size,
        source_date_epoch=arguments.source_date_epoch,
        strict=arguments.strict,
        access=invocation.access(arguments),
        patience=invocation.patience(arguments),
        timeout=arguments.timeout,
        progress=display,
    )
    display.close()
    if not arguments.quiet:
        _summarize(saved, arguments.output, time.monotonic() - began, display)
    return 0


def _summarize(saved: Saved, output: str, seconds: float, display: Display) -> None:
    """Say what was saved: name, digest, platform, size, seconds."""
    target = "stdout" if output == "-" else clean(output)
    images = "; ".join(
        f"{', '.join(str(reference) for reference in image.references)} {image.digest} {image.platform}"
        for image in saved.images
    )
    details = {
        "output": output,
        "size": saved.size,
        "seconds": round(seconds, 3),
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
    display.message("saved", f"saved {images}, {size(saved.size)} to {target} in {seconds:.1f} s", details)
