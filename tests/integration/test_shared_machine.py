"""A cache on a machine with other users: what they plant or exchange never reaches an archive."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.store.place import Place
from imgfetch.store.verified import Copy
from tests.images import hello, image
from tests.integration.conftest import Save
from tests.loopback import Loopback
from tests.tools import umask

BASE, TOP = hello("base"), hello("top")
GOOD = image(BASE, TOP)
CHANGED = TOP.content[:-1] + bytes([TOP.content[-1] ^ 1])


def writable_by_others(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]


@pytest.mark.parametrize("mask", [0o000, 0o002], ids=oct)
def test_nothing_in_a_cache_that_was_made_beforehand_can_be_written_by_others(
    loopback: Loopback, save: Save, tmp_path: Path, mask: int
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o755)
    with umask(mask):
        save(loopback.add("a", "1", GOOD))
    assert writable_by_others(tmp_path / "cache") == []
    assert list((tmp_path / "cache").glob("layers/*/*"))


def test_a_cache_that_a_group_can_write_to_is_refused_with_a_way_out(
    loopback: Loopback, save: Save, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o775)
    reference = loopback.add("a", "1", GOOD)
    assert f"run: chmod go-w {cache}" in save(reference, status=7).err
    assert not (tmp_path / "y.tar").exists()
    cache.chmod(0o755)
    save(reference)


@pytest.mark.parametrize("opened", [("layers",), ("layers", "layers/sha256"), ("layers/sha256",)], ids=" ".join)
def test_a_diff_id_that_others_could_have_planted_lets_no_image_pass(
    loopback: Loopback, save: Save, tmp_path: Path, opened: tuple[str, ...]
) -> None:
    broken = image(BASE, TOP, config={"rootfs": {"type": "layers", "diff_ids": [BASE.diff_id] * 2}})
    good = loopback.add("a", "1", GOOD)
    save(good)
    (tmp_path / "y.tar").unlink()
    note = tmp_path / "cache" / "layers" / "sha256" / TOP.digest.removeprefix("sha256:")
    note.write_bytes(LayerInfo(Digest.parse(BASE.diff_id), "gzip", 2560).to_json())
    for name in opened:
        (tmp_path / "cache" / name).chmod(0o777)
    save(loopback.add("a", "2", broken), status=6)
    assert not (tmp_path / "y.tar").exists()
    save(good)


@pytest.mark.parametrize(
    ("output", "options", "status"),
    [("y.tar", (), 0), ("y.tar.gz", (), 6), ("y.tar", ("--layers", "plain"), 6)],
    ids=["copied by the check", "compressed later", "decompressed later"],
)
def test_a_blob_that_is_exchanged_after_its_check_is_in_no_archive(
    loopback: Loopback,
    save: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    output: str,
    options: tuple[str, ...],
    status: int,
) -> None:
    reference = loopback.add("a", "1", GOOD)
    save(reference, to="x.tar")
    check = Place.verify

    def check_and_exchange(place: Place, descriptor: Descriptor, copy: Copy | None = None) -> bool:
        is_here = check(place, descriptor, copy)
        if is_here and str(descriptor.digest) == TOP.digest:
            (tmp_path / "other").write_bytes(CHANGED)
            (tmp_path / "other").chmod(0o600)
            (tmp_path / "other").replace(place.root / "blobs" / "sha256" / descriptor.digest.encoded)
        return is_here

    monkeypatch.setattr(Place, "verify", check_and_exchange)
    done = save(reference, *options, to=output, status=status)
    if status:
        assert "was changed after it was verified" in done.err
        assert not (tmp_path / output).exists()
    else:
        assert verify(tmp_path / output).findings == ()
    monkeypatch.setattr(Place, "verify", check)
    save(reference, *options, to=output)
    assert verify(tmp_path / output).findings == ()
