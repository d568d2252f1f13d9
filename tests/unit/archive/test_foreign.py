"""Files that are mistaken for an image archive, and what a message calls them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from imgfetch.archive import foreign, foreign_members
from imgfetch.archive.foreign import BEGINNING, recognize
from tests.images import hello, image, tar

BUILT = image(hello())
TAR = tar({"oci-layout": b"{}"})
DISK = bytes(510) + b"\x55\xaa" + bytes(2000)


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("o.tar", TAR)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("beginning", "kind", "hint"),
    [
        (b"", "an empty file", "copy or download"),
        (bytes(600), "begins with zeros", "copy or download"),
        (b"\x04\x22\x4d\x18" + bytes(90), "an lz4 file", "lz4 -dc o.tar | imgfetch verify -"),
        (b"\x02\x21\x4c\x18" + bytes(90), "an lz4 file", "lz4 -dc o.tar | imgfetch verify -"),
        (b"LZIP\x01", "an lzip file", "lzip -dc"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z file", "unpack it"),
        (b"Rar!\x1a\x07\x01", "a rar file", "unpack it"),
        (b"\x7fELF\x02", r"a program (ELF)", "imgfetch save, docker save"),
        (bytes(32) + b"SIF_MAGIC", "an Apptainer image", "docker save"),
        (b"hsqs" + bytes(90), "a squashfs image", "docker save"),
        (b"QFI\xfb" + bytes(90), "a qcow2 disk image", "docker save"),
        (bytes(32769) + b"CD001", "an ISO image", "docker save"),
        (bytes(1080) + b"\x53\xef", "an ext4 file system", "docker save"),
        (DISK, "a disk image", "docker save"),
        (b"age-encryption.org/v1\n", "encrypted with age", "age -d -i KEY o.tar | imgfetch verify -"),
        (b"-----BEGIN PGP MESSAGE-----\n", "encrypted with PGP", "gpg -d o.tar | imgfetch verify -"),
        (b"\x85\x02\x0c\x03" + b"\x9a" * 90, "encrypted with PGP", "gpg -d"),
        (b"\x8c\x0d\x04\x09\x03\x02" + b"\x9a" * 90, "encrypted with PGP", "gpg -d"),
        (b"\xc1\xc0\x4c\x03" + b"\x9a" * 90, "encrypted with PGP", "gpg -d"),
        (b"Salted__" + b"\x9a" * 90, "encrypted with openssl", "openssl enc -d"),
        ("\ufeff".encode("utf-16-le") + TAR.decode("latin-1").encode("utf-16-le"), "PowerShell's >", "-o FILE"),
        (b"\x1f\xef\xbf\xbd\x08" + b"\xef\xbf\xbd" * 90, "converted as if it were text", "binary mode"),
        (b"\n<!DOCTYPE HTML><html>Log in", "a web page", "with credentials"),
        (b"<?xml version='1.0'?><Error>", "a web page", "with credentials"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS", "git lfs pull"),
        (BUILT.raw, "an image manifest, without its layers", "imgfetch save"),
        (BUILT.config.content, "an image config", "imgfetch save"),
        (b'{\n "manifests": []}', "an image index", "imgfetch save"),
        (b'{"errors": [{"code": "DENIED"}]}', "an error response of a registry", "imgfetch save"),
        (json.dumps([{"a": 1}]).encode(), "a JSON document", "imgfetch save"),
        (b"0" * 64 + b"  o.tar\n", "a list of checksums", "sha256sum -c o.tar"),
        (b"SHA256 (o.tar) = " + b"0" * 64, "a list of checksums", "sha256sum -c o.tar"),
        (b"# ours\n\nalpine:3.20\nquay.io/x/y:1 # two\n", "a list of images", "imgfetch verify -i o.tar FILE"),
        (b"quay.io/x/y:1@sha256:" + b"0" * 64 + b"\n", "a list of images", "imgfetch verify -i o.tar FILE"),
        (b"Just text, " + "ü".encode() * BEGINNING, "a text file", "docker save"),
        (b"#!/bin/sh\n", "a script", "docker save"),
    ],
)
def test_a_file_is_named_by_its_beginning(beginning: bytes, kind: str, hint: str) -> None:
    found = recognize(beginning[:BEGINNING])
    assert found is not None
    assert kind in found.kind
    error = found.error("o.tar")
    assert str(error) == f"o.tar is not an image archive, but {found.kind}"
    assert hint in str(error.hint)
    assert "{" not in f"{error} {error.hint}"


def test_checksums_are_compared_in_their_directory_because_they_name_files_there() -> None:
    found = recognize(b"0" * 64 + b"  o.tar\n")
    assert found is not None
    assert (
        found.error("out/SHA256SUMS").hint == "compare the files beside it: sha256sum -c SHA256SUMS, in its directory"
    )


def test_a_zip_file_is_named(tmp_path: Path) -> None:
    found = recognize(zipped(tmp_path / "o.zip"))
    assert found == foreign.Foreign("a zip file", "unpack it, and use the archive inside")


@pytest.mark.parametrize("beginning", [TAR, b"\x00\x01\x02", b"\x85other", b"\xfetext"])
def test_a_tar_and_an_unknown_file_have_no_other_kind(beginning: bytes) -> None:
    assert recognize(beginning) is None


@pytest.mark.parametrize(
    ("names", "kind", "hint"),
    [
        ([".dockerenv", "etc/", "usr/"], "docker export", "docker save IMAGE"),
        (["./", "./bin/", "./etc/", "./etc/passwd", "./usr/"], "one layer of an image", "docker save IMAGE"),
        (["app/.wh.old", "app/new"], "one layer of an image", "docker save IMAGE"),
        (["usr/share/x/index.json", "etc/a", "var/b"], "a root file system", "docker save IMAGE"),
        (["lay/", "lay/oci-layout", "lay/index.json"], "an image archive inside, in lay/", "tar -C lay -cf FILE ."),
        (["./a/b/oci-layout"], "an image archive inside, in a/b/", "tar -C a/b -cf FILE ."),
        (["x/manifest.json", "x/abc.json"], "an image archive inside, in x/", "tar -C x -cf FILE ."),
        (["images/a.tar", "images/b.tar.gz", "README"], "with 2 other archives inside", "such as images/a.tar"),
        (["a.tar"], "with another archive inside", "such as a.tar"),
        (["app/Chart.yaml", "app/values.yaml"], "a Helm chart", "helm"),
        (["a", "b", "c", "d", "e"], "other files: a, b, c and 2 more", "index.json or manifest.json"),
        (["x\x1b[31m"], r"other files: x\x1b[31m", "index.json"),
        ([], "an empty tar archive", "write it again"),
    ],
)
def test_a_tar_is_named_by_its_members(names: list[str], kind: str, hint: str) -> None:
    found = foreign_members.recognize(names) or foreign_members.unknown(names)
    assert kind in found.kind
    assert hint in found.hint


@pytest.mark.parametrize(
    "name",
    [
        "blobs/sha256/",
        "blobs/sha256/" + "a" * 64,
        "./blobs/sha512/" + "a" * 128,
        "sha256:" + "a" * 64,
        "a" * 64 + ".json",
        "a" * 64 + ".tar",
        "a" * 64 + ".tar.gz",
        "a" * 64 + "/layer.tar",
        "a" * 64,
    ],
)
def test_parts_of_an_image_are_told_by_their_names(name: str) -> None:
    assert foreign_members.is_part_of_an_image(name)


@pytest.mark.parametrize("name", ["a", "etc/passwd", "layer.tar", "blobs/", "a" * 63, "x/" + "a" * 64])
def test_other_names_are_no_parts_of_an_image(name: str) -> None:
    assert not foreign_members.is_part_of_an_image(name)


def test_a_hint_about_stdin_has_a_place_for_the_name_of_the_file() -> None:
    found = recognize(b"\x04\x22\x4d\x18")
    assert found
    assert found.error("stdin").hint == "decompress it first, for example: lz4 -dc FILE | imgfetch verify -"
