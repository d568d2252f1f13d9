"""Archives over which readers differ, and damaged ones: `verify`, `inspect` and `save --base` exit with 6."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.images import OCI_GZIP, Blob, hello, image
from tests.integration.conftest import Command, Save
from tests.loopback import Loopback
from tests.make_fixtures import FIXTURES

ARCHIVES = FIXTURES / "archives"
PINNED = "example.com/a/b:1@sha256:48dae3c8259916f006c50947b19314a8cd34db8a0c5a134c2bca3f279e83b66e"
PINNED_TOO = "docker.io/team/app:1@sha256:99d5386640818640701b930bb7b69909378dd6d1768d914807ef2a90b24380f8"
SHA512 = (
    "sha512:569306a405bb7e042fb6db4c9195a35a663c27a53781b1c7227f8731739a7de46df37c7e422e16e2c8b34369ab7d5a10eb11cc5d"
)
SHA512 += "171ae39e1871b5f5649459fd"
TOP = hello("top")
ONE = image(TOP)

FINDINGS = [
    ("trailing-slash.tar", [PINNED], "'x/' is not the name of a part of an image"),
    ("gnu-prefix.tar", [PINNED], "the access time in this header is not a number"),
    ("key-case.tar", [], "item 1 of manifest.json is ambiguous: readers disagree about the key 'config'"),
    ("index-key-case.tar", [PINNED_TOO], "index.json is ambiguous: readers disagree about the key 'Manifests'"),
    ("negative-size.tar", [], "the size in this header is not a number"),
    ("negative-size-of-long-name.tar", [], "the size in this header is not a number"),
]


@pytest.mark.parametrize(("name", "wanted", "said"), FINDINGS)
def test_an_archive_over_which_readers_differ_exits_with_6(
    command: Command, name: str, wanted: list[str], said: str
) -> None:
    done = command("verify", ARCHIVES / name, *wanted)
    assert done.status == 6
    assert f"{name}: " in done.err.splitlines()[0]
    assert said in done.err
    done = command("inspect", ARCHIVES / name)
    assert (done.status, done.out) == (6, "")
    assert f"{name} is damaged: " in done.err
    assert said in done.err


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, _, said in FINDINGS])
def test_such_an_archive_is_no_base(loopback: Loopback, save: Save, tmp_path: Path, name: str, said: str) -> None:
    reference = loopback.add("team/app", "1", ONE)
    done = save(reference, "--base", ARCHIVES / name, status=6)
    assert said in done.err
    assert not (tmp_path / "y.tar").exists()


@pytest.mark.parametrize("name", [name for name, _, _ in FINDINGS])
def test_such_an_archive_is_written_anew(loopback: Loopback, command: Command, tmp_path: Path, name: str) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes((ARCHIVES / name).read_bytes())
    reference = loopback.add("team/app", "1", ONE)
    arguments = ("save", reference, "--platform", "linux/amd64", "-o", target, "--if-changed")
    assert command(*arguments).status == 0
    assert command("verify", target, f"{reference}@{ONE.digest}").status == 0


def test_our_archive_of_an_image_in_sha512_is_ok(command: Command) -> None:
    target = ARCHIVES / "sha512.tar"
    done = command("verify", target, f"example.com/a/b:1@{SHA512}")
    assert done.status == 0
    assert done.out.startswith(f"{target}: ok: example.com/a/b:1 {SHA512} ")
    assert command("inspect", target).status == 0


def test_a_damaged_config_in_sha512_is_told(command: Command, tmp_path: Path) -> None:
    raw = (ARCHIVES / "sha512.tar").read_bytes()
    assert raw.count(b'"a table"') == 1
    (tmp_path / "y.tar").write_bytes(raw.replace(b'"a table"', b'"a chair"'))
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 6
    assert "is damaged: it hashes to" in done.err


@pytest.mark.parametrize("archive_format", ["docker", "docker-classic", "oci"])
def test_a_bundle_of_two_images_with_one_config_and_different_layers_is_ok(
    loopback: Loopback, command: Command, tmp_path: Path, archive_format: str
) -> None:
    other = image(Blob(gzip.compress(gzip.decompress(TOP.content), 1, mtime=9), OCI_GZIP, TOP.diff_id))
    assert other.config == ONE.config
    assert other.digest != ONE.digest
    names = [loopback.add("team/app", "1", ONE), loopback.add("mirror/app", "1", other)]
    target = tmp_path / "y.tar"
    arguments = ("--format", archive_format, "--platform", "linux/amd64", "-o", target)
    assert command("save", *names, *arguments).status == 0
    pinned = [f"{name}@{built.digest}" for name, built in zip(names, (ONE, other), strict=True)]
    done = command("verify", target, *([] if archive_format == "docker-classic" else pinned))
    assert (done.status, len(done.out.splitlines())) == (0, 1 if archive_format == "docker-classic" else 2)
    assert command("inspect", target).status == 0
