"""The images that programs bring, and checks of the files that they make; these share no code with imgfetch."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.bench.measuring import CommandError
from tests.bench.workload import Workload


@dataclass(frozen=True)
class Source:
    """Images in a registry.

    Attributes:
        host: the registry.
        images: each with its repository.
        prefix: what goes before each command, such as one that enters another network.
    """

    host: str
    images: Mapping[str, Workload]
    prefix: tuple[str, ...] = ()

    @property
    def references(self) -> list[str]:
        return [f"{self.host}/{repository}:v1" for repository in self.images]

    @property
    def blobs(self) -> list[str]:
        """The URLs of all layers."""
        return [
            f"http://{self.host}/v2/{repository}/blobs/{layer.digest}"
            for repository, image in self.images.items()
            for layer in image.layers
        ]


def archive(source: Source, file: Path) -> None:
    """Read an archive with Python's tarfile, and expect the bytes of every layer, compressed or not.

    Raises:
        CommandError: a layer is not in it.
    """
    with tarfile.open(file, "r:") as tar:
        files = (tar.extractfile(member) for member in tar if member.isfile())
        found = {_digest(opened) for opened in files if opened}
    for layer in (layer for image in source.images.values() for layer in image.layers):
        if not {layer.digest, layer.diff_id} & found:
            raise CommandError(f"{file} has no layer {layer.digest}")


def blob(source: Source, file: Path) -> None:
    """Expect the only layer of the only image.

    Raises:
        CommandError: it is something else.
    """
    (image,) = source.images.values()
    with file.open("rb") as opened:
        if _digest(opened) != image.layers[0].digest:
            raise CommandError(f"{file} is not the blob")


def none(*_: object) -> None:
    """Check nothing, because nothing is written."""


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    while piece := file.read(1024 * 1024):
        found.update(piece)
    return f"sha256:{found.hexdigest()}"
