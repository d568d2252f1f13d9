"""Archives in which a name stands for several images, of which readers take the one for their platform."""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.parts import Change, Hostile, Json, Make, Pair, both, entry, index, tar
from tests.images import ARM64, Blob, Built, attestation, image
from tests.images import index as image_index

AMD64 = {"architecture": "amd64", "os": "linux"}
S390X = {"architecture": "s390x", "os": "linux"}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}
PLATFORMS = {
    "both the same": (AMD64, AMD64),
    "the planted one's is better": (AMD64, {**AMD64, "variant": "v3"}),
    "the planted one has features": (AMD64, {**AMD64, "os.features": ["a"]}),
    "the good one's is foreign": (S390X, AMD64),
    "the planted one's is foreign": (AMD64, ARM64),
    "the good one has none": (None, AMD64),
    "the planted one has none": (AMD64, None),
    "neither has one": (None, None),
    "the good one's is unknown": (UNKNOWN, AMD64),
    "the planted one's is unknown": (AMD64, UNKNOWN),
    "the good one's is empty": ({}, AMD64),
    "the good one's is windows": ({"architecture": "amd64", "os": "windows", "os.version": "10.0.1"}, AMD64),
    "the good one's is in upper case": ({"architecture": "AMD64", "os": "Linux"}, AMD64),
    "the good one's has another name": ({"architecture": "x86_64", "os": "linux"}, AMD64),
}


def _both_in_an_index(pair: Pair, good: Json, planted: Json, *, planted_first: bool = False) -> Built:
    children = [replace(pair.good, platform=good), replace(pair.planted, platform=planted)]
    return image_index(*(children[::-1] if planted_first else children))


def _index(good: Json, planted: Json, *, planted_first: bool = False, nested: bool = False) -> Make:
    """Return an archive in which the name stands for an index with both images."""

    def make(pair: Pair) -> bytes:
        top = _both_in_an_index(pair, good, planted, planted_first=planted_first)
        top = image_index(top) if nested else top
        return tar(both(pair, index=index(entry(top, pair.name)), manifest=None, images=[top]))

    return make


def _index_beside_docker(good: Json, planted: Json) -> Make:
    def make(pair: Pair) -> bytes:
        top = _both_in_an_index(pair, good, planted)
        return tar(both(pair, index=index(entry(top, pair.name)), images=[top]))

    return make


def _entries(good: Json, planted: Json, *, planted_first: bool = False) -> Make:
    """Return an archive with an entry for each of the images, under one name."""

    def make(pair: Pair) -> bytes:
        found = [
            entry(image, pair.name, **({} if platform is None else {"platform": platform}))
            for image, platform in ((pair.good, good), (pair.planted, planted))
        ]
        listed = index(*(found[::-1] if planted_first else found))
        return tar(both(pair, index=listed, manifest=None, images=[pair.good, pair.planted]))

    return make


def _child(*, is_absent: bool = False, good: Json = AMD64, **extra: Json) -> Make:
    """Return an archive in which the name stands for an index of a planted child and the good image.

    Args:
        is_absent: whether the child is not in the archive, for a reader may have it already.
        good: the good image's platform.
        extra: other members of the child's entry; ``None`` leaves one out.
    """

    def make(pair: Pair) -> bytes:
        child = {key: value for key, value in {**pair.planted.entry, **extra}.items() if value is not None}
        children = [pair.good] if is_absent else [pair.good, pair.planted]
        top = image_index(*children, entries=[child, replace(pair.good, platform=good).entry])
        return tar(both(pair, index=index(entry(top, pair.name)), manifest=None, images=[top]))

    return make


def _without_layers(pair: Pair) -> Pair:
    """Let the planted image have no layers but something else in their place, and so no files for containerd."""
    other = [{**layer.descriptor, "mediaType": "application/x-other"} for layer in pair.planted.layers]
    rootfs = {"type": "layers", "diff_ids": []}
    planted = image(*pair.planted.layers, manifest={"layers": other}, config={"rootfs": rootfs})
    return replace(pair, planted=planted)


def _with_more_layers(pair: Pair) -> Pair:
    """Let the planted image have something among its layers that is none."""
    signature = Blob(b"{}", "application/vnd.dev.cosign.simplesigning.v1+json")
    layers = [signature.descriptor, *(layer.descriptor for layer in pair.planted.layers)]
    planted = image(*pair.planted.layers, manifest={"layers": layers})
    return replace(pair, planted=replace(planted, blobs=(*planted.blobs, signature)))


def _with_config_type(kind: str) -> Change:
    return lambda pair: replace(pair, planted=image(*pair.planted.layers, config_type=kind))


def _statement(pair: Pair) -> Pair:
    """Let the planted image be an attestation in the index that is asked for."""
    planted = attestation(pair.good)
    return replace(pair, planted=planted, root=image_index(pair.good, planted))


def _named_statement(pair: Pair) -> bytes:
    assert pair.root
    files = both(pair, index=index(entry(pair.planted, pair.name)), manifest=None, images=[pair.root])
    return tar(files)


_ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}
PLATFORM: dict[str, Hostile] = {
    **{f"an index of both, {text}": Hostile(_index(*two)) for text, two in PLATFORMS.items()},
    **{
        f"an index of both, planted first, {text}": Hostile(_index(*two, planted_first=True))
        for text, two in PLATFORMS.items()
    },
    **{
        f"an index of both beside manifest.json, {text}": Hostile(_index_beside_docker(*two))
        for text, two in PLATFORMS.items()
    },
    **{f"entries for platforms, {text}": Hostile(_entries(*two)) for text, two in PLATFORMS.items()},
    **{
        f"entries for platforms, planted first, {text}": Hostile(_entries(*two, planted_first=True))
        for text, two in PLATFORMS.items()
    },
    "an index in an index, the good one's platform is foreign": Hostile(_index(S390X, AMD64, nested=True)),
    "an index in an index, the planted one's platform is foreign": Hostile(_index(AMD64, ARM64, nested=True)),
    "an index of the good image and of an absent one": Hostile(_child(is_absent=True)),
    "a child that calls itself an attestation": Hostile(_child(annotations=_ATTESTED)),
    "a child that calls itself an attestation, of an unknown platform": Hostile(
        _child(annotations=_ATTESTED, platform=UNKNOWN)
    ),
    "a child that calls itself an attestation, without a platform": Hostile(
        _child(annotations=_ATTESTED, platform=None)
    ),
    "a child that calls itself an attestation, without any platform": Hostile(
        _child(annotations=_ATTESTED, platform=None, good=None)
    ),
    "a child that calls itself an attestation, of an incomplete platform": Hostile(
        _child(annotations=_ATTESTED, platform={"os": "linux"}, good=None)
    ),
    "a child without layers": Hostile(_child(), changed=_without_layers),
    "a child without layers, without any platform": Hostile(_child(platform=None, good=None), changed=_without_layers),
    "a child with a signature among its layers": Hostile(_child(), changed=_with_more_layers),
    **{
        f"a child with a config of the type {kind}": Hostile(_child(), changed=_with_config_type(kind))
        for kind in ("application/vnd.cncf.helm.config.v1+json", "application/vnd.oci.empty.v1+json", "")
    },
    "a child of an unknown type": Hostile(_child(mediaType="application/x-other")),
    "a child of an unknown type, for the platform": Hostile(_child(mediaType="application/x-other", platform=AMD64)),
    "a child without a type": Hostile(_child(mediaType="")),
    "a child that is an index by its type": Hostile(_child(mediaType="application/vnd.oci.image.index.v1+json")),
    "a child with an artifact type": Hostile(_child(artifactType="application/x-other")),
    "an entry for another platform than its image's": Hostile(
        lambda pair: tar(both(pair, index=index(entry(pair.good, pair.name, platform=S390X)), manifest=None))
    ),
    "the name of an index and of its first image": Hostile(lambda pair: _with_index(pair, pair.good)),
    "an attestation with the name of its index": Hostile(_named_statement, changed=_statement),
}


def _with_index(pair: Pair, image: Built) -> bytes:
    top = image_index(pair.good, pair.planted)
    return tar(both(pair, index=index(entry(top, pair.name), entry(image, pair.name)), manifest=None, images=[top]))
