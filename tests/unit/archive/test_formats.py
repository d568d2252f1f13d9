from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping

import pytest

from imgfetch.archive.formats import FORMATS
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Member, TarLayout
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image, Manifest
from imgfetch.oci.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

M1, M2, C1, C2, L1, L2, L3, D1, D2, D3 = ("0123456789"[number] * 64 for number in range(10))
"""The encoded digests of manifests, configs, layers and the layers' decompressed forms."""
WIDE = "a" * 128
PINNED = "b" * 64

BLOBS: Mapping[str, bytes] = {
    M1: b"manifest 1",
    M2: b"the manifest 2",
    C1: b"config 1",
    C2: b"the config 2",
    L1: b"base",
    L2: b"top" * 1000,
    L3: b"x" * 512,
    WIDE: b"wide",
}


def digest(encoded: str) -> Digest:
    return Digest("sha512" if len(encoded) == 128 else "sha256", encoded)


def descriptor(encoded: str, media_type: str, urls: tuple[str, ...] = ()) -> Descriptor:
    return Descriptor(media_type, digest(encoded), len(BLOBS[encoded]), urls=urls)


def image(
    *references: str, layers: tuple[tuple[str, str], ...] = ((L1, D1),), manifest: str = M1, config: str = C1
) -> Image:
    """Return an image whose layers are given with their diff_ids."""
    return Image(
        Manifest(
            descriptor(manifest, OCI_MANIFEST),
            descriptor(config, OCI_CONFIG),
            tuple(descriptor(layer, OCI_LAYER_GZIP) for layer, _ in layers),
        ),
        Config(Platform("linux", "amd64"), tuple(digest(diff_id) for _, diff_id in layers)),
        tuple(Reference.parse(reference) for reference in references),
    )


def foreign_image() -> Image:
    manifest = Manifest(
        descriptor(M1, OCI_MANIFEST),
        descriptor(C1, OCI_CONFIG),
        (descriptor(L1, FOREIGN, ("https://mirror.example/base",)), descriptor(L2, OCI_LAYER_GZIP)),
    )
    return Image(manifest, Config(Platform("windows", "amd64"), (digest(D1), digest(D2))), (Reference.parse("x:1"),))


def open_blob(wanted: Digest) -> io.BytesIO:
    return io.BytesIO(BLOBS[wanted.encoded])


class NoDocuments:
    """The documents of a format that reads none."""

    def read(self, digest: Digest, /) -> bytes:
        raise AssertionError(digest)

    def put(self, descriptor: Descriptor, content: bytes, /) -> None:
        raise AssertionError(descriptor, content)


DOCUMENTS = NoDocuments()


def members(*images: Image) -> tuple[Member, ...]:
    return FORMATS["docker"].members([Selection.of(image) for image in images], {}, DOCUMENTS)


def written(*images: Image, mtime: int = 1) -> bytes:
    out = io.BytesIO()
    TarLayout(members(*images), mtime=mtime).stream(open_blob, out)
    return out.getvalue()


def index(*entries: str) -> bytes:
    head = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
    return head + ",".join(entries).encode() + b"]}"


def entry(manifest: str, name: str) -> str:
    size = len(BLOBS[manifest])
    return (
        f'{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{manifest}","size":{size},'
        f'"annotations":{{"io.containerd.image.name":"{name}","org.opencontainers.image.ref.name":"{name}"}}}}'
    )


BUSYBOX = "docker.io/library/busybox"

CASES = [
    pytest.param(
        (image("busybox:latest", layers=((L1, D1), (L2, D2))),),
        index(entry(M1, f"{BUSYBOX}:latest")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["{BUSYBOX}:latest"],'
        f'"Layers":["blobs/sha256/{L1}","blobs/sha256/{L2}"]}}]',
        f'{{"{BUSYBOX}":{{"latest":"{D2}"}}}}',
        [M1, C1, L1, L2],
        id="a tag",
    ),
    pytest.param(
        (image("quay.io/x/y:2", "busybox:1", "quay.io/x/y:1"),),
        index(entry(M1, f"{BUSYBOX}:1"), entry(M1, "quay.io/x/y:1"), entry(M1, "quay.io/x/y:2")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["{BUSYBOX}:1","quay.io/x/y:1","quay.io/x/y:2"],'
        f'"Layers":["blobs/sha256/{L1}"]}}]',
        f'{{"{BUSYBOX}":{{"1":"{D1}"}},"quay.io/x/y":{{"1":"{D1}","2":"{D1}"}}}}',
        [M1, C1, L1],
        id="several tags, sorted",
    ),
    pytest.param(
        (image(f"quay.io/x/y@sha256:{PINNED}"),),
        index(entry(M1, f"quay.io/x/y@sha256:{M1}")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":[],"Layers":["blobs/sha256/{L1}"]}}]',
        "{}",
        [M1, C1, L1],
        id="a digest alone, and that of an index",
    ),
    pytest.param(
        (image(f"quay.io/x/y:1@sha256:{M1}"),),
        index(entry(M1, "quay.io/x/y:1")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["quay.io/x/y:1"],"Layers":["blobs/sha256/{L1}"]}}]',
        f'{{"quay.io/x/y":{{"1":"{D1}"}}}}',
        [M1, C1, L1],
        id="tag and digest",
    ),
    pytest.param(
        (image("localhost:5000/x:1", layers=((L1, D1), (L2, D2), (L1, D1))),),
        index(entry(M1, "localhost:5000/x:1")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["localhost:5000/x:1"],'
        f'"Layers":["blobs/sha256/{L1}","blobs/sha256/{L2}","blobs/sha256/{L1}"]}}]',
        f'{{"localhost:5000/x":{{"1":"{D1}"}}}}',
        [M1, C1, L1, L2],
        id="a repeated layer",
    ),
    pytest.param(
        (image("quay.io/x/y:1", layers=()),),
        index(entry(M1, "quay.io/x/y:1")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["quay.io/x/y:1"],"Layers":[]}}]',
        "{}",
        [M1, C1],
        id="no layers",
    ),
    pytest.param(
        (
            image("quay.io/x/y:1", layers=((L1, D1), (L2, D2))),
            image("quay.io/x/y:2", layers=((L1, D1), (L3, D3)), manifest=M2, config=C2),
        ),
        index(entry(M1, "quay.io/x/y:1"), entry(M2, "quay.io/x/y:2")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["quay.io/x/y:1"],'
        f'"Layers":["blobs/sha256/{L1}","blobs/sha256/{L2}"]}},'
        f'{{"Config":"blobs/sha256/{C2}","RepoTags":["quay.io/x/y:2"],'
        f'"Layers":["blobs/sha256/{L1}","blobs/sha256/{L3}"]}}]',
        f'{{"quay.io/x/y":{{"1":"{D2}","2":"{D3}"}}}}',
        [M1, C1, L1, L2, M2, C2, L3],
        id="two images that share a layer",
    ),
    pytest.param(
        (foreign_image(),),
        index(entry(M1, "docker.io/library/x:1")),
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["docker.io/library/x:1"],'
        f'"Layers":["blobs/sha256/{L1}","blobs/sha256/{L2}"],'
        f'"LayerSources":{{"sha256:{D1}":{{"mediaType":"{FOREIGN}","size":4,"digest":"sha256:{L1}",'
        f'"urls":["https://mirror.example/base"]}}}}}}]',
        f'{{"docker.io/library/x":{{"1":"{D2}"}}}}',
        [M1, C1, L1, L2],
        id="a foreign layer",
    ),
]


@pytest.mark.parametrize(("images", "index_json", "manifest_json", "repositories", "blobs"), CASES)
def test_an_archive_has_these_members(
    images: tuple[Image, ...], index_json: bytes, manifest_json: str, repositories: str, blobs: list[str]
) -> None:
    # the table of the archive's description, section 1
    found = members(*images)
    assert found[:4] == (
        Member("oci-layout", 30, b'{"imageLayoutVersion":"1.0.0"}'),
        Member("index.json", len(index_json), index_json),
        Member("manifest.json", len(manifest_json), manifest_json.encode()),
        Member("repositories", len(repositories), repositories.encode()),
    )
    assert found[4:6] == (Member("blobs/", 0), Member("blobs/sha256/", 0))
    assert found[6:] == tuple(Member(f"blobs/sha256/{name}", len(BLOBS[name]), digest(name)) for name in blobs)


@pytest.mark.parametrize(("images", "index_json", "manifest_json", "repositories", "blobs"), CASES)
def test_the_standard_library_reads_what_was_written(
    images: tuple[Image, ...], index_json: bytes, manifest_json: str, repositories: str, blobs: list[str]
) -> None:
    expected = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": index_json,
        "manifest.json": manifest_json.encode(),
        "repositories": repositories.encode(),
        "blobs": None,
        "blobs/sha256": None,
        **{f"blobs/sha256/{name}": BLOBS[name] for name in blobs},
    }
    with tarfile.open(fileobj=io.BytesIO(written(*images)), mode="r:") as archive:
        found = {
            member.name: content.read() if (content := archive.extractfile(member)) else None for member in archive
        }
    assert list(found) == list(expected)
    assert found == expected


@pytest.mark.parametrize(("images", "index_json", "manifest_json", "repositories", "blobs"), CASES)
def test_the_size_is_known_beforehand(
    images: tuple[Image, ...], index_json: bytes, manifest_json: str, repositories: str, blobs: list[str]
) -> None:
    contents = [b"x" * 30, index_json, manifest_json, repositories, "", "", *(BLOBS[name] for name in blobs)]
    blocks = sum(1 + -(-len(content) // 512) for content in contents)
    assert TarLayout(members(*images)).size == blocks * 512 + 1024
    assert len(written(*images)) == blocks * 512 + 1024


@pytest.mark.parametrize("mtime", [1, 0, 1_700_000_000])
def test_every_entry_has_the_same_time_and_owner(mtime: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(image("busybox:1"), mtime=mtime)), mode="r:") as archive:
        members = archive.getmembers()
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (mtime, 0, 0, "", "")
    }
    assert {member.mode for member in members if member.isreg()} == {0o644}
    assert {member.mode for member in members if member.isdir()} == {0o755}


def test_the_time_is_one_second_past_1970_unless_told_otherwise() -> None:
    out = io.BytesIO()
    TarLayout(members(image("busybox:1"))).stream(open_blob, out)
    assert out.getvalue() == written(image("busybox:1"), mtime=1)


def test_two_runs_write_the_same_bytes() -> None:
    images = (image("busybox:2", "busybox:1"), image("x:1", manifest=M2, config=C2, layers=((L3, D3),)))
    assert written(*images) == written(*images)


def test_the_order_of_a_images_names_does_not_matter() -> None:
    assert written(image("busybox:1", "busybox:2")) == written(image("busybox:2", "busybox:1", "busybox:2"))


def test_an_archive_ends_with_two_blocks_of_zeros_and_nothing_else() -> None:
    archive = written(image("busybox:1", layers=((L3, D3),)))
    assert archive.endswith(BLOBS[L3] + bytes(1024))


def test_a_name_with_a_tag_and_one_with_a_digest_both_lead_to_an_image() -> None:
    found = members(image("quay.io/x/y:1", f"quay.io/x/y@sha256:{PINNED}"))
    assert found[1].content == index(entry(M1, "quay.io/x/y:1"), entry(M1, f"quay.io/x/y@sha256:{M1}"))
    assert found[2].content == (
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["quay.io/x/y:1"],"Layers":["blobs/sha256/{L1}"]}}]'.encode()
    )


def test_a_sha512_layer_has_a_directory_of_its_own() -> None:
    found = members(image("quay.io/x/y:1", layers=((WIDE, D1),)))
    assert [member.name for member in found[4:]] == [
        "blobs/",
        "blobs/sha256/",
        "blobs/sha512/",
        f"blobs/sha256/{M1}",
        f"blobs/sha256/{C1}",
        f"blobs/sha512/{WIDE}",
    ]
    assert found[2].content == (
        f'[{{"Config":"blobs/sha256/{C1}","RepoTags":["quay.io/x/y:1"],"Layers":["blobs/sha512/{WIDE}"]}}]'.encode()
    )
    archive = written(image("quay.io/x/y:1", layers=((WIDE, D1),)))
    assert TarLayout(found).size == len(archive)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        last = tar.getmembers()[-1]
        content = tar.extractfile(last)
        assert last.name == f"blobs/sha512/{WIDE}"
        assert content is not None
        assert content.read() == b"wide"


def test_several_entries_also_have_the_requested_digests() -> None:
    first = image(f"quay.io/x/y:1@sha256:{PINNED}")._replace(indexes=(Descriptor(OCI_INDEX, digest(PINNED), 7),))
    second = image(f"quay.io/x/z@sha256:{M2}", manifest=M2, config=C2)
    assert members(first, second)[1].content == index(
        entry(M1, "quay.io/x/y:1"), entry(M1, f"quay.io/x/y@sha256:{PINNED}"), entry(M2, f"quay.io/x/z@sha256:{M2}")
    )


def test_a_digest_that_decompression_has_changed_is_in_no_name() -> None:
    found = members(image(f"quay.io/x/y:1@sha256:{PINNED}"), image("quay.io/x/z:1", manifest=M2, config=C2))
    assert found[1].content == index(entry(M1, "quay.io/x/y:1"), entry(M2, "quay.io/x/z:1"))


def test_images_with_the_same_tag_have_their_full_names_in_a_layout_alone() -> None:
    images = [image("x:1"), image("y:1", "y:2", manifest=M2, config=C2)]
    found = FORMATS["oci"].members([Selection.of(each) for each in images], {}, DOCUMENTS)
    entries = json.loads(found[1].content)["manifests"]
    names = [each["annotations"]["org.opencontainers.image.ref.name"] for each in entries]
    assert names == ["docker.io/library/x:1", "docker.io/library/y:1", "2"]
