"""Images in the shapes that registries serve, each with what it costs which reader.

Every shape has layers and a config of its own: a reader that holds a chain of layers already would not open
them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.images import (
    ARM64,
    DOCKER_GZIP,
    OCI_GZIP,
    OCI_TAR,
    OCI_ZSTD,
    SKIPPABLE,
    Built,
    attestation,
    gz,
    hello,
    image,
    index,
    layer,
    multi_member_gzip,
    tar,
    zstd,
)

ZSTD = "has zstd layers, which docker before 23"
MIXED = "only some layers of "

REWRITTEN = "with decompressed layers"

EMPTY = layer(bytes(1024), OCI_GZIP)
"""The layer that old builders make for every line that changes no file (L16)."""


@dataclass(frozen=True)
class Shape:
    """An image and what is expected of its readers.

    Attributes:
        built: the image or index.
        chosen: the manifest that is taken for linux/amd64, if `built` is an index.
        zstd: whether it has a zstd layer, which docker before 23 does not read.
        is_rewritten: whether layers stand decompressed in the archive, for some readers refuse them as they are.
        warnings: a part of each warning that imgfetch gives.
    """

    built: Built
    chosen: Built | None = None
    zstd: bool = False
    is_rewritten: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def manifest(self) -> Built:
        return self.chosen or self.built


def _base(mark: str) -> bytes:
    files = {"etc/": b"", "etc/mark": mark.encode(), "etc/os-release": b"NAME=test\n" * 300}
    return tar({**files, "bin/": b"", "bin/hello": bytes(range(256)) * 40})


def _top(mark: str) -> bytes:
    return tar({"app/": b"", "app/data.txt": f"some text for {mark}, again and again\n".encode() * 2000})


def _schema2(mark: str) -> Shape:
    layers = layer(_base(mark), DOCKER_GZIP), layer(_top(mark), DOCKER_GZIP)
    return Shape(image(*layers, docker=True, config={"author": mark}))


def _oci(mark: str, media_type: str, *, zstd: bool = False) -> Shape:
    return Shape(
        image(layer(_base(mark), media_type), layer(_top(mark), media_type)),
        zstd=zstd,
        warnings=(ZSTD,) if zstd else (),
    )


def _skippable_behind(mark: str) -> Shape:
    raw = _base(mark)
    return Shape(image(layer(zstd(raw) + SKIPPABLE, OCI_ZSTD, raw=raw), layer(_top(mark))), zstd=True, warnings=(ZSTD,))


def _skippable_before(mark: str) -> Shape:
    raw = _base(mark)
    return Shape(
        image(layer(SKIPPABLE + zstd(raw), OCI_ZSTD, raw=raw), layer(_top(mark))),
        is_rewritten=True,
        warnings=("begins with a skippable frame", MIXED, REWRITTEN),
    )


def _multi_member(mark: str) -> Shape:
    raw = _base(mark)
    return Shape(image(layer(multi_member_gzip(raw), OCI_GZIP, raw=raw), layer(_top(mark))))


def _odd_end(mark: str, end: bytes, warning: str) -> Shape:
    raw = _base(mark)
    built = image(layer(gz(raw) + end, OCI_GZIP, raw=raw), layer(_top(mark)))
    return Shape(built, is_rewritten=True, warnings=(warning, MIXED, REWRITTEN))


def _three_compressions(mark: str) -> Shape:
    return Shape(
        image(layer(_base(mark)), layer(_top(mark), OCI_ZSTD), hello(mark, OCI_TAR)), zstd=True, warnings=(MIXED, ZSTD)
    )


def _gzip_called_tar(mark: str) -> Shape:
    raw = _base(mark)
    return Shape(
        image(layer(gz(raw), OCI_TAR, raw=raw)),
        is_rewritten=True,
        warnings=("its media type says plain, but its content is gzip", REWRITTEN),
    )


def _tar_called_gzip(mark: str) -> Shape:
    raw = _base(mark)
    return Shape(image(layer(raw, OCI_GZIP, raw=raw)), warnings=("its media type says gzip, but its content is plain",))


def _zstd_called_gzip(mark: str) -> Shape:
    raw = _base(mark)
    built = image(layer(zstd(raw), OCI_GZIP, raw=raw))
    return Shape(built, zstd=True, warnings=("its media type says gzip, but its content is zstd", ZSTD))


def _repeated_layer(mark: str) -> Shape:
    base, other = layer(_base(mark)), hello(mark)
    return Shape(image(base, other, base, other))


def _empty_layer(mark: str) -> Shape:
    return Shape(image(layer(_base(mark)), EMPTY, hello(mark), EMPTY))


def _no_layer(mark: str) -> Shape:
    return Shape(image(config={"author": mark}))


def _manifest_list(mark: str) -> Shape:
    arm64 = image(hello(f"{mark} arm64", DOCKER_GZIP), docker=True, platform=ARM64)
    amd64 = image(hello(mark, DOCKER_GZIP), docker=True)
    return Shape(index(arm64, amd64, docker=True), amd64)


def _attestations(mark: str) -> Shape:
    arm64, amd64 = image(hello(f"{mark} arm64"), platform=ARM64), image(hello(mark))
    return Shape(index(attestation(amd64), arm64, amd64, attestation(arm64)), amd64)


def _nested_index(mark: str) -> Shape:
    arm64, amd64 = image(hello(f"{mark} arm64"), platform=ARM64), image(hello(mark))
    return Shape(index(index(arm64), index(amd64)), amd64)


def _entry_without_a_platform(mark: str) -> Shape:
    built = image(hello(mark), platform=None)
    return Shape(index(built), built)


def _pretty_printed_config(mark: str) -> Shape:
    return Shape(image(layer(_base(mark)), indent=4))


_MAKERS: dict[str, Callable[[str], Shape]] = {
    "schema 2": _schema2,
    "oci gzip": lambda mark: _oci(mark, OCI_GZIP),
    "oci zstd": lambda mark: _oci(mark, OCI_ZSTD, zstd=True),
    "oci plain": lambda mark: _oci(mark, OCI_TAR),
    "skippable frame behind": _skippable_behind,
    "skippable frame before": _skippable_before,
    "multi-member gzip": _multi_member,
    "gzip and zeros": lambda mark: _odd_end(mark, bytes(1024), "zeros separate or follow"),
    "gzip and garbage": lambda mark: _odd_end(mark, b"garbage", "extra bytes follow its gzip data"),
    "three compressions": _three_compressions,
    "gzip called tar": _gzip_called_tar,
    "tar called gzip": _tar_called_gzip,
    "zstd called gzip": _zstd_called_gzip,
    "repeated layer": _repeated_layer,
    "empty layer": _empty_layer,
    "no layer": _no_layer,
    "manifest list": _manifest_list,
    "index with attestations": _attestations,
    "nested index": _nested_index,
    "entry without a platform": _entry_without_a_platform,
    "pretty-printed config": _pretty_printed_config,
}

SHAPES: dict[str, Shape] = {name: make(name) for name, make in _MAKERS.items()}
