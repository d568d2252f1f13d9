from __future__ import annotations

import bz2
import gc
import hashlib
import lzma
import random
import weakref

import pytest

from imgfetch.errors import StorageError, UnsupportedError, VerificationError
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.layers.windows import TOTAL, WINDOWS, Lease
from imgfetch.layers.zstd import ZstdStream
from imgfetch.oci import mediatypes
from imgfetch.oci.digest import Digest
from tests.images import DOCKER_GZIP, OCI_GZIP, OCI_TAR, OCI_ZSTD, SKIPPABLE, gz, multi_member_gzip, tar, zstd

MIB = 1024 * 1024
TAR = tar({"etc/": b"", "etc/motd": b"welcome\n" * 50})
ZEROS = bytes(1024)

DOCKER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"

PADDED = "zeros separate or follow its gzip streams"
SKIPPABLE_FIRST = "its zstd data begins with a skippable frame; some readers do not recognize it as zstd"
GARBAGE = "extra bytes follow its gzip data"

RESERVED_BLOCK = b"\x28\xb5\x2f\xfd\x00\x00\x07\x00\x00"
"""A frame of zstd with a block of a reserved type."""

EMPTY_LAYER = bytes.fromhex("1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000")
"""The gzip of 1024 zeros that docker itself wrote for years."""


def check(stored: bytes, media_type: str = OCI_GZIP, *, step: int = MIB, limit: int = 10**9) -> LayerInfo:
    layer = DiffIdCheck("layer 2/3 of x", media_type, limit=limit)
    for start in range(0, len(stored), step):
        layer.update(stored[start : start + step])
    return layer.finish()


def sha256(content: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("step", [1, 13, MIB])
@pytest.mark.parametrize(
    ("stored", "plain", "compression", "oddity"),
    [
        pytest.param(gz(TAR), TAR, "gzip", "", id="gzip"),
        pytest.param(TAR, TAR, "plain", "", id="plain"),
        pytest.param(zstd(TAR), TAR, "zstd", "", id="zstd"),
        pytest.param(zstd(TAR[:9]) + zstd(TAR[9:]), TAR, "zstd", "", id="zstd, several frames"),
        pytest.param(SKIPPABLE + zstd(TAR), TAR, "zstd", SKIPPABLE_FIRST, id="skippable frame first"),
        pytest.param(zstd(TAR[:9]) + SKIPPABLE + zstd(TAR[9:]), TAR, "zstd", "", id="skippable frame between"),
        pytest.param(zstd(TAR) + SKIPPABLE + SKIPPABLE, TAR, "zstd", "", id="skippable frames last"),
        pytest.param(multi_member_gzip(TAR), TAR, "gzip", "", id="gzip members"),
        pytest.param(gz(TAR) + bytes(512), TAR, "gzip", PADDED, id="gzip and zeros"),
        pytest.param(gz(TAR[:9]) + bytes(5) + gz(TAR[9:]), TAR, "gzip", PADDED, id="zeros between members"),
        pytest.param(gz(TAR) + b"garbage", TAR, "gzip", GARBAGE, id="gzip and garbage"),
        pytest.param(gz(TAR) + bytes(9) + b"garbage", TAR, "gzip", GARBAGE, id="zeros and garbage"),
        pytest.param(bz2.compress(TAR), TAR, "bzip2", "", id="bzip2"),
        pytest.param(bz2.compress(TAR[:9]) + bz2.compress(TAR[9:]), TAR, "bzip2", "", id="bzip2 streams"),
        pytest.param(lzma.compress(TAR), TAR, "xz", "", id="xz"),
        pytest.param(lzma.compress(TAR[:9]) + lzma.compress(TAR[9:]), TAR, "xz", "", id="xz streams"),
        pytest.param(b"", b"", "plain", "", id="zero bytes"),
        pytest.param(gz(b""), b"", "gzip", "", id="gzip of zero bytes"),
        pytest.param(EMPTY_LAYER, ZEROS, "gzip", "", id="empty layer"),
        pytest.param(ZEROS, ZEROS, "plain", "", id="empty tar"),
        pytest.param(TAR + b"more", TAR + b"more", "plain", "", id="bytes behind the tar"),
        pytest.param(gz(TAR + bytes(9000)), TAR + bytes(9000), "gzip", "", id="zeros behind the tar"),
    ],
)
def test_a_layer_is_decompressed_and_hashed(
    stored: bytes, plain: bytes, compression: str, oddity: str, step: int
) -> None:
    assert check(stored, step=step) == LayerInfo(sha256(plain), compression, len(plain), oddity)


@pytest.mark.parametrize(
    ("stored", "blob", "diff_id"),
    [
        pytest.param(
            EMPTY_LAYER,
            "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4",
            "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
            id="docker's empty layer",
        ),
        pytest.param(
            b"",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            id="nothing",
        ),
    ],
)
def test_an_empty_layer_has_the_well_known_diff_id(stored: bytes, blob: str, diff_id: str) -> None:
    assert sha256(stored) == Digest("sha256", blob)
    assert check(stored).diff_id == Digest("sha256", diff_id)


def test_a_diff_id_may_be_a_sha512() -> None:
    layer = DiffIdCheck("a layer", OCI_GZIP, "sha512")
    layer.update(gz(TAR))
    assert layer.finish().diff_id == Digest("sha512", hashlib.sha512(TAR).hexdigest())


@pytest.mark.parametrize("step", [1, MIB])
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(gz(TAR)[:-1], id="gzip"),
        pytest.param(multi_member_gzip(TAR)[:-9], id="gzip members"),
        pytest.param(zstd(TAR)[:-5], id="zstd, in the data"),
        pytest.param(zstd(TAR)[:-1], id="zstd, in the checksum"),
        pytest.param(zstd(TAR) + zstd(TAR)[:5], id="zstd, in the second header"),
        pytest.param(zstd(TAR) + SKIPPABLE[:-1], id="zstd, in a skippable frame"),
        pytest.param(bz2.compress(TAR)[:-1], id="bzip2"),
        pytest.param(lzma.compress(TAR)[:-1], id="xz"),
    ],
)
def test_a_layer_that_ends_early_is_never_accepted(stored: bytes, step: int) -> None:
    with pytest.raises(VerificationError, match=r"^layer 2/3 of x is broken: its \w+ data ends early$") as caught:
        check(stored, step=step)
    assert caught.value.hint == "try another tag, or ask the publisher to rebuild the image"


@pytest.mark.parametrize(
    "compressed",
    [
        pytest.param(gz(TAR), id="gzip"),
        pytest.param(zstd(TAR), id="zstd"),
        pytest.param(bz2.compress(TAR), id="bzip2"),
        pytest.param(lzma.compress(TAR), id="xz"),
    ],
)
def test_a_damaged_layer_is_refused_only_when_all_has_passed(compressed: bytes) -> None:
    # on the way the blob's own digest has the first word
    layer = DiffIdCheck("layer 2/3 of x", OCI_GZIP)
    middle = len(compressed) // 2
    layer.update(compressed[:middle] + bytes([compressed[middle] ^ 0xFF]) + compressed[middle + 1 :])
    layer.update(b"more")
    with pytest.raises(VerificationError, match=r"^layer 2/3 of x is broken: its \w+ data is damaged"):
        layer.finish()


@pytest.mark.parametrize("step", [1, MIB])
@pytest.mark.parametrize(
    ("stored", "magic"),
    [
        pytest.param(b"PK\x03\x04\x14\x00\x00\x00" + bytes(600), "50 4b 03 04 14 00 00 00 (zip)", id="zip"),
        pytest.param(b"hello", "68 65 6c 6c 6f", id="a short text"),
        pytest.param(b"\x1f\x8b", "1f 8b", id="half a magic"),
        pytest.param(bytes(511) + b"x" * 600, "00 00 00 00 00 00 00 00", id="no tar"),
    ],
)
def test_an_unknown_compression_is_refused_and_its_magic_named(stored: bytes, magic: str, step: int) -> None:
    with pytest.raises(UnsupportedError) as caught:
        check(stored, "application/x-\x1b[2Jthing", step=step)
    assert f"it begins with {magic}, its type is application/x-\\x1b[2Jthing" in str(caught.value)
    assert str(caught.value).startswith("layer 2/3 of x cannot be read: ")
    assert caught.value.hint == "ask the publisher for gzip, zstd, bzip2, xz or uncompressed layers"


@pytest.mark.parametrize("stored", [TAR[:600], gz(TAR[:600]), zstd(TAR[:-1500])], ids=["plain", "gzip", "zstd"])
def test_a_layer_whose_tar_is_cut_short_is_refused(stored: bytes) -> None:
    with pytest.raises(VerificationError, match=r"^layer 2/3 of x is broken: its tar cannot be extracted") as caught:
        check(stored)
    assert caught.value.hint == "try another tag, or ask the publisher to rebuild the image"


def test_what_some_readers_refuse_in_a_tar_is_a_remark_and_cannot_be_helped() -> None:
    info = check(gz(TAR[:-1024] + TAR))
    (remark,) = info.warnings({OCI_GZIP})
    assert remark == "it has two entries 'etc', which docker's classic store and podman refuse"
    assert not info.is_refused({OCI_GZIP})
    assert LayerInfo.from_json(info.to_json()) == info


def test_a_type_that_is_not_given_is_called_so() -> None:
    with pytest.raises(UnsupportedError, match=r"its type is not given$"):
        check(b"hello", "")


@pytest.mark.parametrize(
    "compressed", [gz(bytes(16 * MIB)), zstd(bytes(16 * MIB)), bytes(16 * MIB)], ids=["gzip", "zstd", "plain"]
)
def test_a_bomb_ends_at_the_limit(compressed: bytes) -> None:
    with pytest.raises(UnsupportedError, match=r"its decompressed size exceeds the limit of 5000000 bytes") as caught:
        check(compressed, limit=5_000_000)
    assert "protects against decompression bombs; if you trust the image, raise it with --max-layer-size" in str(
        caught.value.hint
    )


@pytest.mark.parametrize("stored", [gz(TAR), zstd(TAR), TAR], ids=["gzip", "zstd", "plain"])
def test_a_layer_may_be_as_large_as_the_limit(stored: bytes) -> None:
    assert check(stored, limit=len(TAR)).diff_id == sha256(TAR)
    with pytest.raises(UnsupportedError, match="exceeds the limit"):
        check(stored, limit=len(TAR) - 1)


def test_a_large_zstd_window_is_refused_and_named() -> None:
    # what zstd --long=31 writes
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([21 << 3]) + (1 | 5 << 3).to_bytes(3, "little") + b"hello"
    with pytest.raises(UnsupportedError, match="needs a window of more than 128 MiB") as caught:
        check(frame)
    assert caught.value.hint == "ask the publisher to compress without --long"


@pytest.mark.parametrize("is_damaged", [False, True], ids=["good", "damaged"])
def test_a_window_is_freed_when_the_layer_has_passed_though_the_check_is_kept(
    monkeypatch: pytest.MonkeyPatch, *, is_damaged: bool
) -> None:
    streams: list[weakref.ref[ZstdStream]] = []

    class Noted(ZstdStream):
        def __init__(self, lease: Lease) -> None:
            super().__init__(lease)
            streams.append(weakref.ref(self))

    monkeypatch.setattr("imgfetch.layers.compression.ZstdStream", Noted)
    layer = DiffIdCheck("layer 1/1 of x", OCI_ZSTD)
    gc.disable()
    try:
        layer.update(zstd(tar({"x": random.Random(0).randbytes(1000)})) + RESERVED_BLOCK * is_damaged)
        if not is_damaged:
            layer.finish()
        assert [stream() for stream in streams] == [None]
        assert WINDOWS.free == TOTAL
    finally:
        gc.enable()


def remarks(stored: bytes, media_type: str) -> str:
    return "\n".join(check(stored, media_type).warnings({media_type}))


@pytest.mark.parametrize(
    ("stored", "media_type"),
    [
        pytest.param(gz(TAR), OCI_GZIP, id="OCI"),
        pytest.param(gz(TAR), DOCKER_GZIP, id="docker"),
        pytest.param(TAR, OCI_TAR, id="OCI"),
        pytest.param(TAR, DOCKER_TAR, id="docker"),
        pytest.param(gz(TAR), DOCKER_TAR, id="gzip called docker's tar"),
        pytest.param(zstd(TAR), OCI_ZSTD, id="zstd"),
        pytest.param(zstd(TAR) + SKIPPABLE, OCI_ZSTD, id="zstd:chunked"),
        pytest.param(multi_member_gzip(TAR), OCI_GZIP, id="gzip members"),
        pytest.param(EMPTY_LAYER, DOCKER_GZIP, id="empty layer"),
        pytest.param(gz(TAR), FOREIGN_GZIP, id="foreign"),
        pytest.param(gz(TAR), NONDISTRIBUTABLE, id="not distributable"),
    ],
)
def test_there_is_nothing_to_remark_about_a_usual_layer(stored: bytes, media_type: str) -> None:
    assert remarks(stored, media_type) == ""


@pytest.mark.parametrize(
    ("stored", "media_type", "remark"),
    [
        pytest.param(gz(TAR), OCI_TAR, "says plain, but its content is gzip", id="gzip called tar"),
        pytest.param(TAR, OCI_GZIP, "says gzip, but its content is plain", id="plain called gzip"),
        pytest.param(TAR, OCI_ZSTD, "says zstd, but its content is plain", id="plain called zstd"),
        pytest.param(zstd(TAR), OCI_GZIP, "says gzip, but its content is zstd", id="zstd called gzip"),
        pytest.param(gz(TAR), OCI_ZSTD, "says zstd, but its content is gzip", id="gzip called zstd"),
        pytest.param(
            bz2.compress(TAR), OCI_GZIP, "its content is bzip2, which containerd does not read", id="bzip2 called gzip"
        ),
        pytest.param(gz(TAR) + bytes(9), OCI_GZIP, PADDED, id="gzip and zeros"),
        pytest.param(SKIPPABLE + zstd(TAR), OCI_ZSTD, SKIPPABLE_FIRST, id="skippable frame first"),
        pytest.param(gz(TAR) + b"garbage", OCI_GZIP, GARBAGE, id="gzip and garbage"),
        pytest.param(gz(TAR), "application/x-layer", "'application/x-layer' is not a known layer type", id="unknown"),
        pytest.param(gz(TAR), "", "'' is not a known layer type", id="none"),
    ],
)
def test_a_reader_that_may_stumble_is_a_remark(stored: bytes, media_type: str, remark: str) -> None:
    assert remark in remarks(stored, media_type)


@pytest.mark.parametrize(
    ("stored", "media_types"),
    [
        pytest.param(gz(TAR), {OCI_TAR}, id="gzip called tar"),
        pytest.param(gz(TAR), {OCI_GZIP, OCI_TAR}, id="gzip called tar in one of two places"),
        pytest.param(gz(TAR), {"application/x-layer"}, id="an unknown type"),
        pytest.param(gz(TAR), {OCI_GZIP, ""}, id="no type in one of two places"),
        pytest.param(zstd(TAR), {mediatypes.DOCKER_LAYER_ZSTD}, id="a type that containerd 1.6 does not know"),
        pytest.param(gz(TAR) + b"garbage", {OCI_GZIP}, id="garbage"),
        pytest.param(bz2.compress(TAR), {DOCKER_TAR}, id="bzip2"),
        pytest.param(lzma.compress(TAR), {DOCKER_TAR}, id="xz"),
    ],
)
def test_a_layer_that_some_readers_refuse_is_not_written_as_it_is(stored: bytes, media_types: set[str]) -> None:
    info = check(stored)
    assert info.is_refused(media_types)
    assert info.warnings(media_types)


@pytest.mark.parametrize(
    ("stored", "media_types"),
    [
        pytest.param(gz(TAR), {OCI_GZIP, DOCKER_GZIP, FOREIGN_GZIP, NONDISTRIBUTABLE}, id="gzip of all types"),
        pytest.param(gz(TAR), {DOCKER_TAR, OCI_ZSTD}, id="gzip called something else"),
        pytest.param(zstd(TAR), {DOCKER_TAR, OCI_GZIP, OCI_ZSTD}, id="zstd"),
        pytest.param(TAR, {OCI_TAR, OCI_GZIP, OCI_ZSTD, DOCKER_TAR}, id="tar"),
    ],
)
def test_a_layer_that_all_readers_load_is_written_as_it_is(stored: bytes, media_types: set[str]) -> None:
    assert not check(stored).is_refused(media_types)


def test_several_oddities_are_several_remarks() -> None:
    assert len(check(gz(TAR) + b"garbage", OCI_TAR).warnings({OCI_TAR})) == 2


def test_an_unknown_type_is_shown_without_control_characters() -> None:
    assert "\x1b" not in remarks(gz(TAR), "application/\x1b[2J")


def test_every_promise_is_a_compression_that_is_known() -> None:
    assert set(mediatypes.LAYER_COMPRESSION.values()) == {"plain", "gzip", "zstd", None}


def test_what_was_found_is_kept_as_json() -> None:
    contents = LayerInfo(sha256(TAR), "gzip", len(TAR), GARBAGE)
    assert LayerInfo.from_json(contents.to_json()) == contents


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"diff_id": "sha256:12"}',
        f'{{"diff_id": "{sha256(TAR)}"}}'.encode(),
        LayerInfo(sha256(TAR), "gzip", len(TAR)).to_json()[:-1],
        LayerInfo(sha256(TAR), "gzip", len(TAR)).to_json().replace(b', "rules": 4', b""),
    ],
    ids=["nothing", "array", "empty", "no digest", "no size", "cut short", "made by other rules"],
)
def test_a_note_that_is_something_else_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match=r"a note|not a valid digest"):
        LayerInfo.from_json(raw)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_all_decompressed_bytes_are_copied_in_order(size: int) -> None:
    copied = bytearray()

    def copy(position: int, data: bytes) -> None:
        assert position == len(copied)
        copied.extend(data)

    stored = gz(TAR)
    check = DiffIdCheck("a layer", OCI_GZIP, copy=copy)
    for at in range(0, len(stored), size):
        check.update(stored[at : at + size])
    check.finish()
    assert copied == TAR


def test_a_full_disk_ends_the_check_at_once() -> None:
    def copy(_position: int, _data: bytes) -> None:
        raise StorageError("the disk is full")

    check = DiffIdCheck("a layer", OCI_GZIP, copy=copy)
    with pytest.raises(StorageError, match="the disk is full"):
        check.update(gz(tar({"noise": random.Random(1).randbytes(100_000)})))
