"""Archives of every writer: those that are stored, from when they ran, and those that are generated."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgfetch.oci import mediatypes
from tests.images import Built
from tests.writers import IMAGES
from tests.writers.generated import WRITERS as GENERATED
from tests.writers.packaged import WRITERS

STORED = Path(__file__).parents[2] / "fixtures" / "writers"
_ALSO = {
    ("docker-20.10", "schema2"),
    *(("docker-28.5-containerd-store", image) for image in ("schema2", "multi")),
    *(("skopeo-1.22-oci-archive", image) for image in ("zstd", "multi", "chart")),
    *(("oras-1.3-backup", image) for image in ("multi", "chart")),
    *(("ctr-2.1-local", image) for image in ("zstd", "multi", "chart")),
    ("crane-0.20", "zstd"),
}


@dataclass(frozen=True)
class Sample:
    """An archive.

    Attributes:
        name: the writer and the image.
        file: it, perhaps compressed.
        kind: what imgfetch calls it.
        built: what was written.
        keeps_config: whether its writer leaves the config as it is.
    """

    name: str
    file: bytes
    kind: str
    built: Built
    keeps_config: bool = True

    @property
    def raw(self) -> bytes:
        """The tar."""
        return gzip.decompress(self.file) if self.file.startswith(b"\x1f\x8b") else self.file

    @property
    def has_images(self) -> bool:
        return not self.built.blobs or self.built.config.media_type in mediatypes.CONFIGS


def stored() -> Iterator[tuple[str, str]]:
    """Yield each writer that runs, and an image of which an archive is stored."""
    for name, writer in WRITERS.items():
        yield from ((name, image) for image in writer.images if image == writer.images[0] or (name, image) in _ALSO)


def samples() -> Iterator[Sample]:
    for name, image in stored():
        file = (STORED / f"{name}-{image}.tar.gz").read_bytes()
        yield Sample(f"{name}-{image}", file, WRITERS[name].kind, IMAGES[image], WRITERS[name].keeps_config)
    for name, generated in GENERATED.items():
        yield Sample(f"generated-{name}", generated.content, generated.kind, generated.built)
