"""The findings about malformed archives, made on purpose or by mistake."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from imgfetch.archive import recognise
from imgfetch.archive import scan as scanning
from imgfetch.archive import verify as verifying
from imgfetch.archive.contents import Archive
from imgfetch.archive.scan import Scan, scan
from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from tests.images import hello, sha256, tar

MIB = 1024 * 1024
TOP = hello("top")


def put(path: Path, *members: tuple[str, bytes, bytes, str]) -> Path:
    """Write members: name, type, content, link."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, content, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


ONE, TWO = "1" * 64, "2" * 64


@pytest.mark.parametrize("target", [f"{TWO}/layer.tar", f"{TWO}.tar"], ids=["docker", "podman"])
def test_the_links_of_docker_and_podman_are_followed(tmp_path: Path, target: str) -> None:
    path = put(
        tmp_path / "y.tar",
        (f"{ONE}/layer.tar", tarfile.SYMTYPE, b"", f"../{target}"),
        (target, tarfile.REGTYPE, b"{}", ""),
    )
    found = scan(path)
    assert found.faults == []
    assert found.target(f"{ONE}/layer.tar") == target
    assert found.document(f"{ONE}/layer.tar") == b"{}"


def test_a_link_is_followed_once(tmp_path: Path) -> None:
    path = put(
        tmp_path / "y.tar",
        (f"{ONE}/layer.tar", tarfile.SYMTYPE, b"", f"../{TWO}/layer.tar"),
        (f"{TWO}/layer.tar", tarfile.SYMTYPE, b"", f"../{ONE}/layer.tar"),
    )
    assert scan(path).get(f"{ONE}/layer.tar") is None


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        (f"{ONE}/layer.tar", tarfile.SYMTYPE, f"../../{TWO}.tar"),
        (f"{ONE}/layer.tar", tarfile.SYMTYPE, f"{TWO}.tar"),
        (f"{ONE}/layer.tar", tarfile.SYMTYPE, "../manifest.json"),
        (f"{ONE}/layer.tar", tarfile.SYMTYPE, f"/{TWO}.tar"),
        (f"{ONE}/json", tarfile.SYMTYPE, f"../{TWO}.tar"),
        ("y", tarfile.SYMTYPE, "."),
        ("manifest.json", tarfile.SYMTYPE, f"{TWO}.tar"),
        ("a", tarfile.LNKTYPE, "b"),
        ("manifest.json", tarfile.LNKTYPE, "b"),
        ("manifest.json", tarfile.DIRTYPE, ""),
        ("index.json/", tarfile.DIRTYPE, ""),
    ],
)
def test_other_links_and_directories_are_told(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    found = scan(put(tmp_path / "y.tar", (name, kind, b"", link)))
    assert f"{name.rstrip('/')} is a " in found.faults[0]
    assert len(found.faults) == 1
    assert found.members == {}


ODD_NAMES = [
    "../x",
    "a/../../x",
    "/x",
    "a//b",
    "a/./b",
    "././a",
    "..",
    "./..",
    "a/",
    ".x",
    "a\\b",
    "a b",
    "a\n",
    "é",
    "~",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_no_writer_gives_is_told(tmp_path: Path, name: str) -> None:
    (fault,) = scan(put(tmp_path / "y.tar", (name, tarfile.REGTYPE, b"", ""))).faults
    assert "is not the name of a part of an image" in fault


def test_a_name_that_stands_twice_is_told_and_the_first_counts(tmp_path: Path) -> None:
    found = scan(put(tmp_path / "y.tar", ("a", tarfile.REGTYPE, b"{}", ""), ("a", tarfile.REGTYPE, b'{"b":1}', "")))
    assert found.document("a") == b"{}"
    assert found.faults == ["a occurs twice in the archive"]


def test_all_names_begin_like_the_first(tmp_path: Path) -> None:
    plain, dotted = ("a", tarfile.REGTYPE, b"{}", ""), ("./b", tarfile.REGTYPE, b"{}", "")
    top = ("./", tarfile.DIRTYPE, b"", "")
    assert scan(put(tmp_path / "y.tar", top, dotted)).faults == []
    assert scan(put(tmp_path / "y.tar", plain, dotted)).faults == ["'./b' begins with './', unlike the names before it"]
    assert "without './'" in scan(put(tmp_path / "y.tar", top, dotted, plain)).faults[0]


def test_a_directory_may_stand_twice(tmp_path: Path) -> None:
    path = put(tmp_path / "y.tar", ("d", tarfile.DIRTYPE, b"", ""), ("d", tarfile.DIRTYPE, b"", ""))
    assert scan(path).faults == []


def test_there_is_an_end_to_the_faults(tmp_path: Path) -> None:
    found = scan(put(tmp_path / "y.tar", *((f".{number}", tarfile.REGTYPE, b"", "") for number in range(1100))))
    assert len(found.faults) == 1001
    assert found.faults[-1] == "more than 1000 members have faults"
    assert not found.is_whole


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("look", [scan, lambda path: scan(path, hashes=True)], ids=["passed over", "hashed"])
def test_memory_has_bounds(tmp_path: Path, look: object, suffix: str) -> None:
    bomb = gzip.compress(bytes(200 * MIB), 9, mtime=0)
    content = tar({"bomb": bomb, "huge.json": b"{" + b" " * (20 * MIB), "manifest.json": b"[" + b" " * (20 * MIB)})
    path = tmp_path / f"y.tar{suffix}"
    path.write_bytes(gzip.compress(content, 9, mtime=0) if suffix else content)
    del bomb, content
    tracemalloc.start()
    look(path)  # type: ignore[operator]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_documents_are_kept_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_MAX_DOCUMENTS", 1000)
    path = tmp_path / "y.tar"
    path.write_bytes(tar({str(number): b"{" + b" " * 400 for number in range(10)}))
    found = scan(path)
    assert sum(len(member.raw or b"") for member in found.members.values()) == 802
    assert found.faults == ["the archive's JSON documents have more than 1000 bytes"]


@pytest.mark.parametrize(
    "content", [b"", b"x" * 5000, gzip.compress(b"no tar" * 1000, mtime=0), b"\x28\xb5\x2f\xfd1234", bytes(5000)]
)
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "y.tar").write_bytes(content)
    with pytest.raises(ImgfetchError):
        verify(tmp_path / "y.tar")


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, gzip.compress], ids=["bzip2", "xz", "gzip"])
def test_archives_that_others_compressed_are_read(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    (tmp_path / "y.tar").write_bytes(compress(tar({"manifest.json": b"[{}]"})))
    assert verify(tmp_path / "y.tar").findings == (
        "item 1 of manifest.json has the config '', which is not in the archive",
    )


def test_there_is_an_end_to_the_zeros_behind_a_tar(tmp_path: Path) -> None:
    bomb = gzip.compress(tar({"manifest.json": b"[]"}) + bytes(65 * MIB), 1)
    (tmp_path / "y.tar").write_bytes(bomb)
    assert "other data follows the end" in verify(tmp_path / "y.tar").findings[0]


def test_docker_before_1_10_is_named(tmp_path: Path) -> None:
    old = {"abc/json": b"{}", "abc/layer.tar": b"", "repositories": b'{"x": {"1": "abc"}}'}
    (tmp_path / "y.tar").write_bytes(tar(old))
    with pytest.raises(UnsupportedError, match=r"docker before 1\.10"):
        verify(tmp_path / "y.tar")


def with_diff_id(path: Path, diff_id: str, layer: bytes) -> Path:
    """Write an archive of an image of one layer."""
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["a.tar"]}]
    members = {"c.json": json.dumps(config).encode(), "a.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(tar(members))
    return path


RAW = gzip.decompress(TOP.content)
SHA512 = f"sha512:{hashlib.sha512(RAW).hexdigest()}"


def test_diff_ids_by_sha512_are_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "y.tar"
    assert verify(with_diff_id(path, SHA512, RAW)).findings == ()
    for wrong in ("sha512:" + "0" * 128, sha256(b"")):
        assert "does not match the config" in verify(with_diff_id(path, wrong, RAW)).findings[0]


def test_an_archive_that_changes_before_it_is_read_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_diff_id(tmp_path / "y.tar", SHA512, b"\x1f\x8b\x08" + bytes(100))

    def read_archive(found: Scan) -> Archive:
        with_diff_id(path, SHA512, RAW)
        return recognise.read_archive(found)

    monkeypatch.setattr(verifying, "read_archive", read_archive)
    with pytest.raises(VerificationError, match="was changed while it was read"):
        verify(path)
