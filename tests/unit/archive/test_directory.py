"""OCI image layouts that are directories, and other directories."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from imgfetch.archive import directory
from imgfetch.archive.directory import is_image_layout
from imgfetch.archive.source import opened
from imgfetch.archive.tarreader import DIRECTORY, FILE
from imgfetch.errors import StorageError, UnsupportedError, VerificationError

FILES = {
    "oci-layout": b"{}",
    "index.json": b"[]",
    "blobs/sha256/b": b"b" * 600_000,
    "blobs/sha256/c": b"",
    "blobs/sha512/a": b"a",
    "extra": b"more",
}


def put(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def read(root: Path) -> list[tuple[str, str, bytes]]:
    with opened(root) as members:
        return [
            (entry.name, entry.kind, members.head(3) + members.read() if entry.kind == FILE else b"")
            for entry in members
        ]


def test_a_layout_is_read_in_a_fixed_order(tmp_path: Path) -> None:
    found = read(put(tmp_path / "lay", FILES))
    assert {name: content for name, kind, content in found if kind == FILE} == FILES
    assert [name for name, _, _ in found] == [
        "blobs",
        "oci-layout",
        "index.json",
        "extra",
        "blobs/sha256",
        "blobs/sha512",
        "blobs/sha256/b",
        "blobs/sha256/c",
        "blobs/sha512/a",
    ]
    assert [kind for name, kind, _ in found if name.startswith("blobs") and name.count("/") < 2] == [DIRECTORY] * 3


def test_a_layout_is_found_through_a_link_and_skipped_without_reading(tmp_path: Path) -> None:
    put(tmp_path / "lay", FILES)
    (tmp_path / "link").symlink_to("lay")
    with opened(tmp_path / "link") as members:
        assert len(list(members)) == 9
        assert (members.position, members.size) == (0, None)


@pytest.mark.parametrize("name", ["blobs/sha256/d", "index.json", "blobs"])
def test_a_link_in_a_layout_is_refused(tmp_path: Path, name: str) -> None:
    lay = put(tmp_path / "lay", {"oci-layout": b"{}"} if name == "blobs" else FILES)
    (tmp_path / "other").mkdir()
    (lay / name).unlink(missing_ok=True)
    (lay / name).symlink_to(tmp_path / ("other" if name == "blobs" else "secret"))
    with pytest.raises(UnsupportedError, match=f"lay/{name} is a symbolic link") as raised:
        read(lay)
    assert raised.value.hint == f"copy the directory with its contents: cp -rL {lay} COPY"


def test_a_special_file_in_a_layout_is_not_opened(tmp_path: Path) -> None:
    lay = put(tmp_path / "lay", FILES)
    os.mkfifo(lay / "pipe")
    with pytest.raises(UnsupportedError, match="lay/pipe is a special file"):
        read(lay)
    (lay / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(lay / "socket"))
        with pytest.raises(UnsupportedError, match="lay/socket is a special file"):
            read(lay)


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay = put(tmp_path / "lay", FILES)
    (tmp_path / "secret").write_text("secret")
    (lay / "index.json").unlink()
    (lay / "index.json").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(directory.DirectoryReader, "_check", lambda *_: None)
    with pytest.raises(StorageError, match="Too many levels of symbolic links"):
        read(lay)


def test_a_file_that_becomes_shorter_is_damage(tmp_path: Path) -> None:
    lay = put(tmp_path / "lay", FILES)
    with opened(lay) as members:
        entries = iter(members)
        assert any(entry.name == "blobs/sha256/b" for entry in entries)
        os.truncate(lay / "blobs/sha256/b", 5)
        assert members.head(3) == b"bbb"
        with pytest.raises(VerificationError, match="became shorter"):
            members.read()


def test_there_is_an_end_to_levels(tmp_path: Path) -> None:
    lay = put(tmp_path / "lay", FILES)
    (lay / "/".join("d" * 12)).mkdir(parents=True)
    with pytest.raises(VerificationError, match="or 8 levels"):
        read(lay)


def test_there_is_an_end_to_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 3)
    with pytest.raises(VerificationError, match="more than 3 entries"):
        read(put(tmp_path / "lay", FILES))


def test_a_directory_that_cannot_be_read_is_an_error_of_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay = put(tmp_path / "lay", FILES)
    real = os.open

    def refusing(path: str, *rest: int, **where: int) -> int:
        if path == "sha256":
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **where)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StorageError, match=r"cannot read .*lay: Permission denied"):
        read(lay)


@pytest.mark.parametrize(
    ("names", "said", "hint"),
    [
        (["version", "manifest.json", "0" * 64], "skopeo's dir: transport", "skopeo copy dir:"),
        (["manifest.json", "repositories"], "a docker archive that has been unpacked", "tar -C "),
        (["overlay2", "image"], "the data directory of docker", "docker save"),
        (["overlay-images", "overlay"], "the storage of podman", "podman save"),
        (["io.containerd.content.v1.content"], "the data directory of containerd", "ctr images export"),
        (["blobs"], "without index.json and oci-layout", "copy the whole"),
        (["b.tar", "a.tar.gz", "z"], "a directory with archives", "lay/a.tar.gz"),
        ([f"{'a' * 250}.tar"], "a directory with archives", f"lay/{'a' * 250}.tar"),
        (["x"], "not an image archive, but a directory", "name an archive"),
        ([], "not an image archive, but a directory", "name an archive"),
    ],
)
def test_another_directory_is_refused_with_its_kind(tmp_path: Path, names: list[str], said: str, hint: str) -> None:
    (tmp_path / "lay").mkdir()
    put(tmp_path / "lay", dict.fromkeys(names, b""))
    assert not is_image_layout(tmp_path / "lay")
    with pytest.raises(UnsupportedError, match=said) as raised:
        read(tmp_path / "lay")
    assert hint in str(raised.value.hint)


def test_a_directory_with_one_of_the_documents_counts_as_a_layout(tmp_path: Path) -> None:
    for name in ("oci-layout", "index.json"):
        (tmp_path / name).mkdir()
        assert is_image_layout(put(tmp_path / name / "lay", {name: b"{}"}))
    assert not is_image_layout(tmp_path / "missing")
