"""Writers of image archives: `packaged` runs them, `generated` has those that are in no package, after their sources.

Every writer is given the same image, whose first layer is also its last, so that it shows how it stores a layer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgfetch.oci import mediatypes
from tests.engines import Command, output
from tests.images import ARM64, OCI_ZSTD, Blob, Built, attestation, gz, hello, image, index, layer
from tests.modern import Tree
from tests.readers import installed

DOCKER_10 = "a docker save archive (1.10 to 24)"
DOCKER_25 = "a docker save archive (25 or later)"
BY_CONTAINERD = "an archive as written by containerd, BuildKit and docker's containerd store"
BY_CRANE = "a docker archive as written by crane and kaniko"
BY_CRANE_LEGACY = "a docker archive as written by crane --format legacy"
BY_JIB = "a docker archive as written by jib"
BY_REGCTL = "an archive as written by regctl"
BY_SKOPEO = "a docker archive as written by podman, buildah and skopeo"
LAYOUT = "an OCI image layout"

BASE, TOP, ARM = hello("base"), hello("top"), hello("arm")
APP = image(BASE, TOP, BASE, config={"author": "writers"})
SCHEMA_2 = image(hello("docker", mediatypes.DOCKER_LAYER_GZIP), docker=True)
ZSTD = image(hello("zstd", OCI_ZSTD), hello("gzip"))
_AMD64_IMAGE, _ARM64_IMAGE = image(hello("one")), image(hello("two"), platform=ARM64)
_ATTESTATION = attestation(_AMD64_IMAGE)


def _about(subject: Built, statement: Built) -> dict[str, Any]:
    """Return the entry that buildkit gives an attestation."""
    kind = {"vnd.docker.reference.digest": subject.digest, "vnd.docker.reference.type": "attestation-manifest"}
    return {**statement.entry, "annotations": kind}


MULTI = index(
    _AMD64_IMAGE,
    _ARM64_IMAGE,
    _ATTESTATION,
    entries=[_AMD64_IMAGE.entry, _ARM64_IMAGE.entry, _about(_AMD64_IMAGE, _ATTESTATION)],
)
_CHART = layer(gz(b"chart"), "application/vnd.cncf.helm.chart.content.v1.tar+gzip", raw=b"chart")
_CHART_CONFIG = Blob(b'{"name":"chart","version":"1.0.0"}', "application/vnd.cncf.helm.config.v1+json")
CHART = image(_CHART, manifest={"config": _CHART_CONFIG.descriptor})
CHART = Built(CHART.raw, CHART.media_type, (_CHART_CONFIG, _CHART))
IMAGES: Mapping[str, Built] = {"app": APP, "schema2": SCHEMA_2, "zstd": ZSTD, "multi": MULTI, "chart": CHART}
"""The content of the registry from which writers copy; a chart is not an image."""


@dataclass(frozen=True)
class Lab:
    """A place where writers run.

    Attributes:
        directory: for what they write, seen by all of them.
        modern: the newer programs.
        started: returns an engine that runs.
    """

    directory: Path
    modern: Tree
    started: Callable[[str], Any]


def run(lab: Lab, program: str, *arguments: str | Path, modern: bool = True) -> None:
    """Run a program until it ends."""
    programs: Callable[[str], Command] = lab.modern.program if modern else installed
    output(*programs(program), *arguments)


Write = Callable[[Lab, str, Path], None]
"""Writes an archive of a reference to a file."""


@dataclass(frozen=True)
class Writer:
    """A program that writes archives, in a version and a form.

    Attributes:
        write: makes it write.
        kind: what imgfetch calls its archives.
        names: what it calls the image in them, apart from ``{reference}`` and ``{image}``.
        images: those of `IMAGES` that it can write.
        keeps_config: whether it leaves the config as it is.
    """

    write: Write
    kind: str
    names: tuple[str, ...] = ()
    images: tuple[str, ...] = ("app",)
    keeps_config: bool = True
